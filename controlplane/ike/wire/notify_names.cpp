// The registered names of notify messages (IANA, "IKEv2 Notify Message Error Types" and "... Status Types").
#include <algorithm>
#include <string_view>

#include "controlplane/ike/wire/notify.hpp"

namespace trunkgate::ike::notify {

namespace {

struct error_name {
  std::uint16_t type;
  std::string_view text;
};
constexpr error_name error_names[] = {
    {1, "UNSUPPORTED_CRITICAL_PAYLOAD"},
    {4, "INVALID_IKE_SPI"},
    {5, "INVALID_MAJOR_VERSION"},
    {7, "INVALID_SYNTAX"},
    {9, "INVALID_MESSAGE_ID"},
    {11, "INVALID_SPI"},
    {14, "NO_PROPOSAL_CHOSEN"},
    {17, "INVALID_KE_PAYLOAD"},
    {24, "AUTHENTICATION_FAILED"},
    {34, "SINGLE_PAIR_REQUIRED"},
    {35, "NO_ADDITIONAL_SAS"},
    {36, "INTERNAL_ADDRESS_FAILURE"},
    {37, "FAILED_CP_REQUIRED"},
    {38, "TS_UNACCEPTABLE"},
    {39, "INVALID_SELECTORS"},
    {40, "UNACCEPTABLE_ADDRESSES"},
    {41, "UNEXPECTED_NAT_DETECTED"},
    {42, "USE_ASSIGNED_HoA"},
    {43, "TEMPORARY_FAILURE"},
    {44, "CHILD_SA_NOT_FOUND"},
    {45, "INVALID_GROUP_ID"},
    {46, "AUTHORIZATION_FAILED"},
    {47, "STATE_NOT_FOUND"},
    {48, "TS_MAX_QUEUE"},
};
// From first_status on, without a gap.
constexpr std::string_view status_names[] = {
    "INITIAL_CONTACT",
    "SET_WINDOW_SIZE",
    "ADDITIONAL_TS_POSSIBLE",
    "IPCOMP_SUPPORTED",
    "NAT_DETECTION_SOURCE_IP",
    "NAT_DETECTION_DESTINATION_IP",
    "COOKIE",
    "USE_TRANSPORT_MODE",
    "HTTP_CERT_LOOKUP_SUPPORTED",
    "REKEY_SA",
    "ESP_TFC_PADDING_NOT_SUPPORTED",
    "NON_FIRST_FRAGMENTS_ALSO",
    "MOBIKE_SUPPORTED",
    "ADDITIONAL_IP4_ADDRESS",
    "ADDITIONAL_IP6_ADDRESS",
    "NO_ADDITIONAL_ADDRESSES",
    "UPDATE_SA_ADDRESSES",
    "COOKIE2",
    "NO_NATS_ALLOWED",
    "AUTH_LIFETIME",
    "MULTIPLE_AUTH_SUPPORTED",
    "ANOTHER_AUTH_FOLLOWS",
    "REDIRECT_SUPPORTED",
    "REDIRECT",
    "REDIRECTED_FROM",
    "TICKET_LT_OPAQUE",
    "TICKET_REQUEST",
    "TICKET_ACK",
    "TICKET_NACK",
    "TICKET_OPAQUE",
    "LINK_ID",
    "USE_WESP_MODE",
    "ROHC_SUPPORTED",
    "EAP_ONLY_AUTHENTICATION",
    "CHILDLESS_IKEV2_SUPPORTED",
    "QUICK_CRASH_DETECTION",
    "IKEV2_MESSAGE_ID_SYNC_SUPPORTED",
    "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED",
    "IKEV2_MESSAGE_ID_SYNC",
    "IPSEC_REPLAY_COUNTER_SYNC",
    "SECURE_PASSWORD_METHODS",
    "PSK_PERSIST",
    "PSK_CONFIRM",
    "ERX_SUPPORTED",
    "IFOM_CAPABILITY",
    "SENDER_REQUEST_ID",
    "IKEV2_FRAGMENTATION_SUPPORTED",
    "SIGNATURE_HASH_ALGORITHMS",
    "CLONE_IKE_SA_SUPPORTED",
    "CLONE_IKE_SA",
    "PUZZLE",
    "USE_PPK",
    "PPK_IDENTITY",
    "NO_PPK_AUTH",
    "INTERMEDIATE_EXCHANGE_SUPPORTED",
    "IP4_ALLOWED",
    "IP6_ALLOWED",
    "ADDITIONAL_KEY_EXCHANGE",
    "USE_AGGFRAG",
    "SUPPORTED_AUTH_METHODS",
    "SA_RESOURCE_INFO",
    "USE_PPK_INT",
    "PPK_IDENTITY_KEY",
};

}  // namespace

std::string name(std::uint16_t type) {
  if (is_error(type)) {
    const auto* found = std::ranges::find(error_names, type, &error_name::type);
    if (found != std::end(error_names)) return std::string(found->text);
  } else if (const std::size_t at = type - first_status; at < std::size(status_names)) {
    return std::string(status_names[at]);
  }
  return "notify " + std::to_string(type);
}

}  // namespace trunkgate::ike::notify
