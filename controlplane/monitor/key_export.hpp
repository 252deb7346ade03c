// Lends an operator the keys of one tunnel, for Wireshark and for a while. At any other time no child SA's key is kept
// in this process: while an export runs, those that are negotiated are, until they are fetched.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "controlplane/ike/engine/engine.hpp"
#include "controlplane/installer/sa_sink.hpp"

namespace trunkgate {

// One line each of Wireshark's tables `ikev2_decryption_table` and `esp_sa`; "" of what Wireshark can't decrypt.
[[nodiscard]] std::string ikev2_table_line(const ike::ike_sa& sa);
[[nodiscard]] std::string esp_table_lines(const child_sa& pair);

// Stands between IKE and the sink proper.
class exporting_sink final : public sa_sink {
 public:
  explicit exporting_sink(sa_sink& below) : below_(below) {}

  void begin(const std::string& tunnel) { lines_[tunnel]; }
  // What came since the last call, wiped here.
  [[nodiscard]] std::vector<std::string> take(const std::string& tunnel);
  void end(const std::string& tunnel);

  [[nodiscard]] std::uint32_t reserve_spi() override { return below_.reserve_spi(); }
  void release_spi(std::uint32_t inbound_spi) override { below_.release_spi(inbound_spi); }
  [[nodiscard]] boost::asio::awaitable<result<void>> add(const child_sa& pair, sa_directions which) override;
  [[nodiscard]] boost::asio::awaitable<result<void>> remove(std::uint32_t inbound_spi, sa_directions which) override {
    return below_.remove(inbound_spi, which);
  }
  [[nodiscard]] boost::asio::awaitable<result<void>> move(std::uint32_t inbound_spi, const sa_path& path) override {
    return below_.move(inbound_spi, path);
  }
  [[nodiscard]] boost::asio::awaitable<result<std::vector<std::optional<sa_use>>>> use(
      const std::vector<std::uint32_t>& inbound_spis) override {
    return below_.use(inbound_spis);
  }
  [[nodiscard]] boost::asio::awaitable<result<std::vector<std::uint32_t>>> survived() override {
    return below_.survived();
  }
  [[nodiscard]] boost::asio::awaitable<result<std::map<std::uint32_t, std::string>>> survivors() override {
    return below_.survivors();
  }

 private:
  sa_sink& below_;
  std::map<std::string, std::vector<std::string>> lines_;  // by tunnel, of those whose keys are wanted
};

// The exports that run. One per tunnel.
class key_exports {
 public:
  static constexpr std::chrono::seconds longest{3600};
  using audit_function = std::function<void(const std::string& event, const std::string& text)>;

  // `audit` writes the log. The environment of IKE must use `sink`.
  key_exports(ike::engine& all, ike::environment& outside, exporting_sink& sink, audit_function audit)
      : all_(all), outside_(outside), sink_(sink), audit_(std::move(audit)) {}
  ~key_exports();
  key_exports(const key_exports&) = delete;
  key_exports& operator=(const key_exports&) = delete;

  // Rekeys the tunnel's children, so that there are keys to be had. `who` is for the log.
  [[nodiscard]] result<void> begin(const std::string& tunnel, std::chrono::seconds time, const std::string& who);
  // {"ikev2_decryption_table": [...], "esp_sa": [...], "seconds_left": n}: new lines only; 0: it has ended.
  [[nodiscard]] nlohmann::ordered_json next(const std::string& tunnel);
  void end(const std::string& tunnel);

 private:
  struct running {
    ike::timer deadline;
    std::set<std::string> known;  // SPIs of IKE SAs that were told
  };
  ike::engine& all_;
  ike::environment& outside_;
  exporting_sink& sink_;
  audit_function audit_;
  std::map<std::string, running> running_;
};

}  // namespace trunkgate
