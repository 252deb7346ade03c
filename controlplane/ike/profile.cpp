#include "controlplane/ike/profile.hpp"

#include <filesystem>

#include "controlplane/ike/auth/certificate.hpp"

namespace trunkgate::ike {

namespace {

std::vector<std::string> absolute(const std::vector<std::string>& files, const std::string& directory) {
  std::vector<std::string> out;
  for (const auto& file : files) out.push_back((std::filesystem::path(directory) / file).string());
  return out;
}

result<void> load_own(tunnel_profile& profile, const std::string& directory, const bytes& public_key) {
  const auto path = "tunnels." + profile.settings.name + ".local.certificate: ";
  for (const auto& file : absolute(profile.ike().certificate_files, directory)) {
    auto loaded = load_certificates(file);
    if (!loaded) return failure(path + loaded.error().reason);
    profile.certificates.insert(profile.certificates.end(), loaded->begin(), loaded->end());
  }
  if (profile.certificates.empty()) return {};
  auto own = public_key_of(profile.certificates.front());
  if (!own) return failure(path + own.error().reason);
  profile.public_key = std::move(*own);
  if (!public_key.empty() && public_key != profile.public_key)
    return failure(path + "the certificate is not that of tunnels." + profile.settings.name + ".local.key");
  return {};
}

result<void> name_us(tunnel_profile& profile) {
  const auto& text = profile.ike().local_id;
  auto id = !text.empty()                   ? parse_identity(text)
            : !profile.certificates.empty() ? build_identity_from_certificate(profile.certificates.front())
                                            : result<id_payload>(id_payload{});
  if (!id) return failure("tunnels." + profile.settings.name + ".local.id: " + id.error().reason);
  profile.local_id = std::move(*id);
  return {};
}

}  // namespace

result<profile_pointer> make_profile(const tunnel_settings& settings, const std::string& directory, bool legacy,
                                     const bytes& public_key) {
  auto out = std::make_shared<tunnel_profile>();
  out->settings = settings;
  out->legacy = legacy;
  if (auto done = load_own(*out, directory, public_key); !done) return std::unexpected(done.error());
  if (auto done = name_us(*out); !done) return std::unexpected(done.error());
  const auto& ike = out->ike();
  if (!ike.remote_id.empty()) {
    auto id = parse_identity(ike.remote_id);
    if (!id) return failure("tunnels." + settings.name + ".remote.id: " + id.error().reason);
    out->remote_id = std::move(*id);
  }
  if (!ike.ca_files.empty()) {
    auto anchors = trust_anchors::load(absolute(ike.ca_files, directory), absolute(ike.crl_files, directory));
    if (!anchors) return failure("tunnels." + settings.name + ".remote.ca: " + anchors.error().reason);
    out->anchors = std::move(*anchors);
  }
  return out;
}

}  // namespace trunkgate::ike
