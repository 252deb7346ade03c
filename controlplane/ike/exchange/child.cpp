#include "controlplane/ike/exchange/child.hpp"

#include <algorithm>

#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

constexpr std::size_t record_offers_limit = 16;
// Children of one IKE SA, besides those of workers.
constexpr std::size_t children_limit = 64;

void add_offer(ike_sa& sa, record_offer offer) {
  auto& all = sa.record.offers;
  std::erase_if(all, [&](const auto& one) { return one.what == offer.what; });
  if (all.size() == record_offers_limit) all.erase(all.begin() + 1);  // the first is IKE's own
  all.reserve(all.size() + 1);  // it is kept for as long as the IKE SA: no room that stays empty
  all.push_back(std::move(offer));
}

ip_range host(const ip_address& address) { return {address, address}; }

// What we want on one side. Of transport mode the addresses are those that the IKE SA goes between.
std::vector<traffic_selector> wish(const ike_sa& sa, const child_settings& settings, bool local) {
  auto out = selectors_of(settings, local);
  if (settings.mode != child_mode::transport) return out;
  out.resize(1);
  out.front().addresses = host(local ? sa.path().local.address : sa.path().remote.address);
  return out;
}

// RFC 7296 2.23.1: behind a NAT each side knows the other by another address; for us those of the path count.
std::vector<traffic_selector> seen_from_here(const ike_sa& sa, std::vector<traffic_selector> from, bool local) {
  if (!(sa.nat_here || sa.nat_there) || from.empty()) return from;
  from.resize(1);
  from.front().addresses = host(local ? sa.path().local.address : sa.path().remote.address);
  return from;
}

child_settings with_wish(const ike_sa& sa, child_settings settings) {
  if (settings.mode == child_mode::transport) {
    settings.local = {host(sa.path().local.address)};
    settings.remote = {host(sa.path().remote.address)};
  }
  return settings;
}

// "10.1.0.0/16 === 10.2.0.0/16", our side first.
std::string both_sides(const std::vector<traffic_selector>& local, const std::vector<traffic_selector>& remote) {
  return selector_words(local) + " === " + selector_words(remote);
}

std::vector<std::string> all_selectors(const ike_sa& sa) {
  std::vector<std::string> out;
  for (const auto& each : sa.profile->settings.children)
    out.push_back(both_sides(selectors_of(each, true), selectors_of(each, false)));
  return out;
}

std::vector<std::string> type_words(const std::vector<transform_type>& types) {
  std::vector<std::string> out;
  for (const auto type : types) out.emplace_back(transform_type_name(type));
  return out;
}

bool is_up(const ike_sa& sa, std::size_t index) {
  return std::ranges::any_of(sa.children, [index](const auto& one) {
    return one->index == index && one->state != child_state::gone && one->state != child_state::deleting;
  });
}

}  // namespace

std::string child_path(const tunnel_profile& profile, std::size_t index) {
  return "children." + profile.settings.children[index].name;
}

// ---- initiator ----

child_request ask_for_child(ike_sa& sa, std::size_t index, child_pointer old, std::optional<std::uint16_t> worker,
                            key_exchanges which, payloads& to) {
  const auto& settings = sa.profile->settings.children[index];
  child_request out{.profile = sa.profile,
                    .index = index,
                    .inbound_spi = sa.outside.sink().reserve_spi(),
                    .offer = {},
                    .old = std::move(old),
                    .worker = worker};
  out.offer = make_offer(settings.esp, protocol_id::esp, spi_bytes(out.inbound_spi), which);
  to.push_back(out.offer);
  to.push_back(ts_payload{.initiator = true, .selectors = wish(sa, settings, true)});
  to.push_back(ts_payload{.initiator = false, .selectors = wish(sa, settings, false)});
  if (settings.mode == child_mode::transport) to.push_back(note(notify::use_transport_mode));
  // RFC 9611: there will be more with these selectors, and none of them is a double.
  if (settings.per_worker && sa.outside.workers() > 1) to.push_back(note(notify::sa_resource_info));
  add_offer(sa, {.what = "selectors " + settings.name,
                 .ours = {both_sides(wish(sa, settings, true), wish(sa, settings, false))},
                 .theirs = {},
                 .chosen = {},
                 .differ_in = {}});
  add_offer(
      sa,
      {.what = "esp " + settings.name, .ours = proposal_words(out.offer), .theirs = {}, .chosen = {}, .differ_in = {}});
  return out;
}

std::expected<agreed_child, failed_step> read_child_answer(ike_sa& sa, const child_request& request,
                                                           const payloads& content) {
  const auto& settings = request.profile->settings.children[request.index];
  const auto path = child_path(*request.profile, request.index);
  const auto wrong = [](failed_step why) { return std::unexpected(std::move(why)); };
  if (const auto* error = find_error(content)) {
    const auto said = "the peer answered " + notify::name(error->type) + " for child \"" + settings.name + "\"";
    switch (error->type) {
      case notify::no_proposal_chosen:
        return wrong(failed(trouble::no_common_child_proposal, said, path + ".esp", error->type));
      case notify::ts_unacceptable:
        return wrong(failed(trouble::selectors_unacceptable, said, path + ".remote", error->type));
      default: return wrong(failed(trouble::peer_refused_child, said, path, error->type));
    }
  }
  const auto* answer = find<sa_payload>(content);
  const auto* initiator_ts = find_ts(content, true);
  const auto* responder_ts = find_ts(content, false);
  if (answer == nullptr || initiator_ts == nullptr || responder_ts == nullptr)
    return wrong(failed(trouble::protocol_error, "the peer's answer lacks SA or traffic selectors"));
  auto chosen = accept(request.offer, *answer);
  auto choice = chosen ? esp_choice_of(*chosen) : std::nullopt;
  if (!choice || chosen->spi.size() != 4)
    return wrong(
        failed(trouble::protocol_error, "the peer chose an ESP proposal that we did not offer", path + ".esp"));
  agreed_child out{
      .profile = request.profile,
      .index = request.index,
      .chosen = *chosen,
      .choice = *choice,
      .mode = find_notify(content, notify::use_transport_mode) ? child_mode::transport : child_mode::tunnel,
      .selectors = {},
      .said = {},
      .inbound_spi = request.inbound_spi,
      .outbound_spi = static_cast<std::uint32_t>(spi_number(chosen->spi)),
      .per_resource =
          settings.per_worker && sa.outside.workers() > 1 && find_notify(content, notify::sa_resource_info) != nullptr,
      .worker = request.worker};
  if (out.outbound_spi < 256)  // RFC 4303 2.1
    return wrong(failed(trouble::protocol_error, "the peer chose a reserved SPI", path));
  if (out.mode != settings.mode)
    return wrong(failed(trouble::mode_differs, "the peer wants tunnel mode, we want transport mode", path + ".mode"));
  auto local = initiator_ts->selectors, remote = responder_ts->selectors;
  if (out.mode == child_mode::transport) {
    local = seen_from_here(sa, std::move(local), true);
    remote = seen_from_here(sa, std::move(remote), false);
  }
  // RFC 7296 2.9: a subset of what was offered; what is more is not believed.
  auto both = narrow(with_wish(sa, settings), local, remote);
  if (!both) return wrong(failed(trouble::selectors_unacceptable, "the peer's selectors are none of ours", path));
  out.selectors = std::move(*both);
  sa.record.offers.back().chosen = proposal_word(out.chosen.transforms);
  add_offer(sa, {.what = "selectors " + settings.name,
                 .ours = {both_sides(wish(sa, settings, true), wish(sa, settings, false))},
                 .theirs = {both_sides(initiator_ts->selectors, responder_ts->selectors)},
                 .chosen = both_sides(out.selectors.local, out.selectors.remote),
                 .differ_in = {}});
  return out;
}

// ---- responder ----

namespace {

struct candidate {
  std::size_t index = 0;
  narrowed selectors;
  bool exact = false;
};

std::vector<candidate> matching(const ike_sa& sa, const std::vector<traffic_selector>& local,
                                const std::vector<traffic_selector>& remote, bool transport, const child_pointer& old) {
  std::vector<candidate> out;
  const auto& all = sa.profile->settings.children;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (old && old->index != i) continue;
    const bool as_transport = transport && all[i].mode == child_mode::transport;
    auto both = narrow(with_wish(sa, all[i]), as_transport ? seen_from_here(sa, local, true) : local,
                       as_transport ? seen_from_here(sa, remote, false) : remote);
    if (!both) continue;
    const bool exact = both->local == selectors_of(all[i], true) && both->remote == selectors_of(all[i], false);
    out.push_back({.index = i, .selectors = std::move(*both), .exact = exact});
  }
  // Of siblings with the same selectors the one that is not there yet (RFC 4301 4.1: classes).
  std::ranges::stable_sort(out, std::greater{},
                           [&](const auto& one) { return (one.exact ? 2 : 0) + (is_up(sa, one.index) ? 0 : 1); });
  return out;
}

// Something that was asked for is left out.
bool is_narrower(const narrowed& agreed, const std::vector<traffic_selector>& local,
                 const std::vector<traffic_selector>& remote) {
  const auto all_inside = [](const std::vector<traffic_selector>& wish, const std::vector<traffic_selector>& got) {
    return std::ranges::all_of(wish, [&](const auto& one) {
      return std::ranges::any_of(got, [&](const auto& large) {
        return large.addresses.contains(one.addresses) && (large.protocol == 0 || large.protocol == one.protocol) &&
               large.first_port <= one.first_port && one.last_port <= large.last_port;
      });
    });
  };
  return !all_inside(local, agreed.local) || !all_inside(remote, agreed.remote);
}

// The first child carries what no worker has one for; then each worker gets its own.
std::optional<std::uint16_t> free_worker(const ike_sa& sa, std::size_t index) {
  std::vector<unsigned> used(sa.outside.workers());
  bool first = true;
  for (const auto& one : sa.children) {
    if (one->index != index || one->state == child_state::gone) continue;
    first = false;
    if (one->worker && *one->worker < used.size()) ++used[*one->worker];
  }
  if (first) return std::nullopt;
  return static_cast<std::uint16_t>(std::ranges::min_element(used) - used.begin());
}

}  // namespace

std::expected<agreed_child, failed_step> agree_to_child(ike_sa& sa, const payloads& content, key_exchanges which,
                                                        const child_pointer& old) {
  const auto wrong = [](failed_step why) { return std::unexpected(std::move(why)); };
  const auto* offer = find<sa_payload>(content);
  const auto* initiator_ts = find_ts(content, true);
  const auto* responder_ts = find_ts(content, false);
  if (offer == nullptr || initiator_ts == nullptr || responder_ts == nullptr)
    return wrong(failed(trouble::protocol_error, "the peer's request lacks SA or traffic selectors", {},
                        notify::invalid_syntax));
  const bool transport = find_notify(content, notify::use_transport_mode) != nullptr;
  const bool resource = find_notify(content, notify::sa_resource_info) != nullptr;
  if (!old && sa.children.size() >= children_limit + sa.outside.workers())
    return wrong(failed(trouble::none, "the peer has as many children as one IKE SA may have", "children",
                        resource ? notify::ts_max_queue : notify::no_additional_sas));
  const auto fitting = matching(sa, responder_ts->selectors, initiator_ts->selectors, transport, old);
  if (fitting.empty()) {
    add_offer(sa, {.what = "selectors",
                   .ours = all_selectors(sa),
                   .theirs = {both_sides(responder_ts->selectors, initiator_ts->selectors)},
                   .chosen = {},
                   .differ_in = {"addresses"}});
    return wrong(failed(trouble::selectors_unacceptable,
                        "the peer wants " + selector_words(responder_ts->selectors) + " here and " +
                            selector_words(initiator_ts->selectors) + " there, which no child of ours has",
                        "children", notify::ts_unacceptable));
  }
  for (const auto& one : fitting) {
    const auto& settings = sa.profile->settings.children[one.index];
    if (settings.mode == child_mode::transport && !transport) continue;
    auto chosen = choose(settings.esp, *offer, protocol_id::esp, which);
    const auto choice = chosen ? esp_choice_of(*chosen) : std::nullopt;
    if (!choice || chosen->spi.size() != 4 || spi_number(chosen->spi) < 256) continue;
    agreed_child out{.profile = sa.profile,
                     .index = one.index,
                     .chosen = std::move(*chosen),
                     .choice = *choice,
                     .mode = settings.mode,
                     .selectors = one.selectors,
                     .said = one.selectors,
                     .inbound_spi = sa.outside.sink().reserve_spi(),
                     .outbound_spi = 0};
    out.outbound_spi = static_cast<std::uint32_t>(spi_number(out.chosen.spi));
    out.narrower = is_narrower(out.selectors, responder_ts->selectors, initiator_ts->selectors);
    out.per_resource = resource && settings.per_worker && sa.outside.workers() > 1;
    if (out.per_resource) out.worker = old ? old->worker : free_worker(sa, one.index);
    if (settings.mode == child_mode::transport && (sa.nat_here || sa.nat_there)) {
      out.said.local.front().addresses = responder_ts->selectors.front().addresses;
      out.said.remote.front().addresses = initiator_ts->selectors.front().addresses;
    }
    add_offer(sa, {.what = "esp " + settings.name,
                   .ours = proposal_words(make_offer(settings.esp, protocol_id::esp, {}, which)),
                   .theirs = proposal_words(*offer),
                   .chosen = proposal_word(out.chosen.transforms),
                   .differ_in = {}});
    add_offer(sa, {.what = "selectors " + settings.name,
                   .ours = {both_sides(selectors_of(settings, true), selectors_of(settings, false))},
                   .theirs = {both_sides(responder_ts->selectors, initiator_ts->selectors)},
                   .chosen = both_sides(out.selectors.local, out.selectors.remote),
                   .differ_in = {}});
    return out;
  }
  const auto& settings = sa.profile->settings.children[fitting.front().index];
  const auto path = child_path(*sa.profile, fitting.front().index);
  if (settings.mode == child_mode::transport && !transport)
    return wrong(failed(trouble::mode_differs,
                        "the peer wants tunnel mode, child \"" + settings.name + "\" is transport mode", path + ".mode",
                        notify::no_proposal_chosen));
  const auto ours = make_offer(settings.esp, protocol_id::esp, {}, which);
  add_offer(sa, {.what = "esp " + settings.name,
                 .ours = proposal_words(ours),
                 .theirs = proposal_words(*offer),
                 .chosen = {},
                 .differ_in = type_words(difference(ours, *offer))});
  return wrong(failed(trouble::no_common_child_proposal,
                      "none of the peer's ESP proposals is one of child \"" + settings.name + "\"", path + ".esp",
                      notify::no_proposal_chosen));
}

void answer_child(const ike_sa& sa, const agreed_child& agreed, payloads& to) {
  (void)sa;
  to.push_back(make_answer(agreed.chosen, protocol_id::esp, spi_bytes(agreed.inbound_spi)));
  to.push_back(ts_payload{.initiator = true, .selectors = agreed.said.remote});
  to.push_back(ts_payload{.initiator = false, .selectors = agreed.said.local});
  if (agreed.mode == child_mode::transport) to.push_back(note(notify::use_transport_mode));
  // RFC 7296 2.9: by another child, or a less specific request, the peer may have the rest.
  if (agreed.narrower) to.push_back(note(notify::additional_ts_possible));
  if (agreed.per_resource) to.push_back(note(notify::sa_resource_info));
}

}  // namespace trunkgate::ike
