#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <string>

#include <rte_acl.h>
#include <rte_memory.h>

#include "dataplane/core/bytes.hpp"
#include "dataplane/core/port_index.hpp"
#include "dataplane/state/spd.hpp"

namespace trunkgate {

namespace {

// What rte_acl looks at, in network byte order. It wants a first field of one byte and then groups of four.
template <unsigned AddressWords>
struct acl_input {
  std::uint8_t protocol;
  std::uint8_t padding[3];
  std::array<std::uint8_t, AddressWords * 4> source, destination;
  be16 source_port, destination_port;
  be16 ingress, egress;
  std::uint8_t has_ports, dscp;
  std::uint8_t unused[2];
};

template <unsigned AddressWords>
struct acl_layout {
  using input = acl_input<AddressWords>;
  static constexpr unsigned source = 1, destination = source + AddressWords;
  static constexpr unsigned source_port = destination + AddressWords, destination_port = source_port + 1;
  static constexpr unsigned ingress = source_port + 2, egress = source_port + 3, has_ports = source_port + 4;
  static constexpr unsigned dscp = has_ports + 1, unused = has_ports + 2, fields = has_ports + 3;

  static rte_acl_config config() {
    rte_acl_config config{};
    config.num_categories = 1;
    config.num_fields = fields;
    unsigned index = 0;
    auto add = [&](std::uint8_t type, std::uint8_t size, std::size_t offset) {
      config.defs[index] = {.type = type,
                            .size = size,
                            .field_index = static_cast<std::uint8_t>(index),
                            .input_index = static_cast<std::uint8_t>(offset / 4),
                            .offset = static_cast<std::uint32_t>(offset)};
      ++index;
    };
    add(RTE_ACL_FIELD_TYPE_BITMASK, 1, offsetof(input, protocol));
    for (unsigned word = 0; word < 2 * AddressWords; ++word)
      add(RTE_ACL_FIELD_TYPE_MASK, 4, offsetof(input, source) + word * 4);
    for (unsigned half = 0; half < 4; ++half) add(RTE_ACL_FIELD_TYPE_RANGE, 2, offsetof(input, source_port) + half * 2);
    add(RTE_ACL_FIELD_TYPE_BITMASK, 1, offsetof(input, has_ports));
    add(RTE_ACL_FIELD_TYPE_RANGE, 1, offsetof(input, dscp));
    add(RTE_ACL_FIELD_TYPE_RANGE, 2, offsetof(input, unused));
    return config;
  }
};

constexpr std::size_t lines_per_rule = 4096;

struct dscp_run {
  std::uint8_t first, last;
};

// A set of classes as runs of neighbours; 0 is all of them.
std::vector<dscp_run> runs_of(std::uint64_t dscp) {
  if (dscp == 0) return {{0, 0xff}};
  std::vector<dscp_run> runs;
  for (std::uint8_t value = 0; value < 64; ++value) {
    if ((dscp >> value & 1) == 0) continue;
    if (!runs.empty() && runs.back().last + 1 == value)
      runs.back().last = value;
    else
      runs.push_back({value, value});
  }
  return runs;
}

bool wants_ports(const api::policy_record& record) {
  return !record.source_ports.any() || !record.destination_ports.any();
}

template <unsigned AddressWords>
RTE_ACL_RULE_DEF(acl_rule, acl_layout<AddressWords>::fields);

// One rte_acl context: the rules that can match one family.
template <unsigned AddressWords>
class acl_table {
 public:
  using layout = acl_layout<AddressWords>;
  static constexpr ip_family family = AddressWords == 1 ? ip_family::v4 : ip_family::v6;

  acl_table() = default;
  acl_table(const acl_table&) = delete;
  acl_table& operator=(const acl_table&) = delete;
  ~acl_table() { rte_acl_free(context_); }

  [[nodiscard]] result<void> build(std::span<const operator_rules::rule> rules) {
    std::vector<acl_rule<AddressWords>> lines;
    std::vector<std::size_t> places;
    for (std::size_t place = 0; place < rules.size(); ++place)
      if (fits(rules[place].record.source) && fits(rules[place].record.destination)) {
        if (auto done = compile(rules[place], place, lines); !done) return done;
        places.resize(lines.size(), place);
      }
    if (lines.empty()) return {};
    // A new set is built while the old one is still in use; rte_acl_create gives back another's context of the same
    // name.
    static std::atomic<unsigned> contexts{0};
    const std::string name = "tg_rules" + std::to_string(AddressWords) + "_" + std::to_string(contexts.fetch_add(1));
    const rte_acl_param parameters{.name = name.c_str(),
                                   .socket_id = SOCKET_ID_ANY,
                                   .rule_size = RTE_ACL_RULE_SZ(layout::fields),
                                   .max_rule_num = static_cast<std::uint32_t>(lines.size())};
    context_ = rte_acl_create(&parameters);
    if (context_ == nullptr)
      return failure("policies: not enough memory for " + std::to_string(lines.size()) + " rules");
    for (std::size_t i = 0; i < lines.size(); ++i)
      if (rte_acl_add_rules(context_, reinterpret_cast<const rte_acl_rule*>(&lines[i]), 1) != 0)
        return failure("policy " + std::string(rules[places[i]].record.policy.view()) + ": can't be compiled");
    const rte_acl_config config = layout::config();
    if (int error = rte_acl_build(context_, &config); error != 0)
      return failure("policies: " + std::to_string(lines.size()) + " rules, the last one " +
                     std::string(rules[places.back()].record.policy.view()) +
                     ", can't be compiled: " + std::strerror(-error) + "; use fewer or simpler rules");
    return {};
  }

  // The place of the first rule that matches plus one, or 0.
  [[nodiscard]] std::uint32_t match(const flow_key& key, std::uint16_t egress) const noexcept {
    if (context_ == nullptr) return 0;
    typename layout::input input{};
    input.protocol = key.protocol;
    std::memcpy(input.source.data(), key.source.data(), input.source.size());
    std::memcpy(input.destination.data(), key.destination.data(), input.destination.size());
    input.source_port = be16(key.source_port);
    input.destination_port = be16(key.destination_port);
    input.ingress = be16(key.ingress);
    input.egress = be16(egress);
    input.has_ports = key.has_ports != 0 ? 1 : 0;
    input.dscp = key.dscp;
    const auto* data = reinterpret_cast<const std::uint8_t*>(&input);
    std::uint32_t found = 0;
    // One packet at a time: the vector searches only pay for bursts, and this one runs on every processor.
    rte_acl_classify_alg(context_, &data, &found, 1, 1, RTE_ACL_CLASSIFY_SCALAR);
    return found;
  }

 private:
  static bool fits(const ip_range& range) { return range.any() || range.first.family == family; }
  static std::vector<ip_prefix> prefixes_of(const ip_range& range) {
    return range.any() ? std::vector<ip_prefix>(1) : range.prefixes();
  }
  static rte_acl_field masked_field(std::uint32_t value, std::uint32_t mask) {
    rte_acl_field field{};
    field.value.u32 = value;
    field.mask_range.u32 = mask;
    return field;
  }
  static rte_acl_field range_field(std::uint16_t first, std::uint16_t last) {
    rte_acl_field field{};
    field.value.u16 = first;
    field.mask_range.u16 = last;
    return field;
  }
  static rte_acl_field index_field(std::uint16_t index) {
    return index == no_port ? range_field(0, 0xffff) : range_field(index, index);
  }
  static void address_fields(rte_acl_field* fields, const ip_prefix& prefix) {
    const ip_prefix clean = prefix.masked();
    const unsigned length = clean.address.family == ip_family::none ? 0 : clean.length;
    for (unsigned word = 0; word < AddressWords; ++word) {
      be32 value;
      std::memcpy(&value, clean.address.bytes.data() + word * 4, 4);
      const unsigned bits = length <= word * 32 ? 0 : std::min(length - word * 32, 32u);
      fields[word] = masked_field(bits == 0 ? 0 : value.host(), bits);
    }
  }
  // rte_acl knows neither ranges of addresses nor sets of classes, so a rule is as many lines as it takes to say it.
  static result<void> compile(const operator_rules::rule& rule, std::size_t place,
                              std::vector<acl_rule<AddressWords>>& lines) {
    const auto sources = prefixes_of(rule.record.source), destinations = prefixes_of(rule.record.destination);
    const auto classes = runs_of(rule.record.dscp);
    const std::size_t count = sources.size() * destinations.size() * classes.size();
    if (count > lines_per_rule)
      return failure("policy " + std::string(rule.record.policy.view()) +
                     ": its ranges of addresses and its classes take " + std::to_string(count) +
                     " lines of prefixes, more than " + std::to_string(lines_per_rule) +
                     "; use prefixes, or ranges that begin and end at rounder numbers");
    acl_rule<AddressWords> line = without_addresses(rule, place);
    for (const auto& source : sources)
      for (const auto& destination : destinations)
        for (const auto& run : classes) {
          address_fields(&line.field[layout::source], source);
          address_fields(&line.field[layout::destination], destination);
          line.field[layout::dscp].value.u8 = run.first;
          line.field[layout::dscp].mask_range.u8 = run.last;
          lines.push_back(line);
        }
    return {};
  }
  static acl_rule<AddressWords> without_addresses(const operator_rules::rule& rule, std::size_t place) {
    const api::policy_record& record = rule.record;
    acl_rule<AddressWords> line{};
    line.data.category_mask = 1;
    line.data.priority = static_cast<std::int32_t>(RTE_ACL_MAX_PRIORITY - place);  // the first rule wins
    line.data.userdata = static_cast<std::uint32_t>(place + 1);
    line.field[0].value.u8 = static_cast<std::uint8_t>(record.protocol < 0 ? 0 : record.protocol);
    line.field[0].mask_range.u8 = record.protocol < 0 ? 0 : 0xff;
    line.field[layout::source_port] = range_field(record.source_ports.first, record.source_ports.last);
    line.field[layout::destination_port] = range_field(record.destination_ports.first, record.destination_ports.last);
    line.field[layout::ingress] = index_field(rule.from);
    line.field[layout::egress] = index_field(rule.to);
    line.field[layout::unused] = range_field(0, 0xffff);
    line.field[layout::has_ports].value.u8 = line.field[layout::has_ports].mask_range.u8 = wants_ports(record) ? 1 : 0;
    return line;
  }

  rte_acl_ctx* context_ = nullptr;
};

class compiled_rules final : public operator_rules {
 public:
  explicit compiled_rules(std::span<const rule> rules)
      : rules_(rules.begin(), rules.end()),
        names_ports_(std::ranges::any_of(rules, [](const rule& r) { return wants_ports(r.record); })) {}

  [[nodiscard]] result<void> compile() {
    if (rules_.size() >= RTE_ACL_MAX_PRIORITY) return failure("policies: too many rules");
    for (const rule& r : rules_)
      if (auto right = check(r.record); !right) return right;
    if (auto built = v4_.build(rules_); !built) return built;
    return v6_.build(rules_);
  }
  [[nodiscard]] bool names_ports() const noexcept override { return names_ports_; }
  [[nodiscard]] const rule* match(const flow_key& key, std::uint16_t egress) const noexcept override {
    std::uint32_t found = 0;
    if (key.family == ip_family::v4) found = v4_.match(key, egress);
    if (key.family == ip_family::v6) found = v6_.match(key, egress);
    return found == 0 ? nullptr : &rules_[found - 1];
  }

 private:
  // rte_acl compiles these without a word, into something that never matches.
  [[nodiscard]] static result<void> check(const api::policy_record& record) {
    const auto refuse = [&](const char* why) {
      return failure("policy " + std::string(record.policy.view()) + ": " + why);
    };
    for (const api::port_range& ports : {record.source_ports, record.destination_ports})
      if (ports.first > ports.last) return refuse("the first port of a range is above its last");
    for (const ip_range& range : {record.source, record.destination})
      if (!range.any() && !range.valid())
        return refuse("a range of addresses does not go from a lower one to a higher one of the same family");
    if (record.protocol > 255) return refuse("there is no protocol above 255");
    return {};
  }

  std::vector<rule> rules_;
  bool names_ports_;
  acl_table<1> v4_;
  acl_table<4> v6_;
};

}  // namespace

result<std::unique_ptr<operator_rules>> operator_rules::build(std::span<const rule> rules) {
  auto built = std::make_unique<compiled_rules>(rules);
  if (auto done = built->compile(); !done) return std::unexpected(done.error());
  return built;
}

}  // namespace trunkgate
