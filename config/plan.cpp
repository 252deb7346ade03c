#include "config/plan.hpp"

#include <algorithm>
#include <optional>

#include "config/settings_text.hpp"

namespace trunkgate {

namespace {

constexpr std::uint16_t usual_mtu = 1500;  // buffers are made for the largest MTU, and this at least

const impact_row& row_of(std::string_view object, std::string_view key) {
  static constexpr impact_row unknown{"", plan_impact::restart, "nobody knows what it costs"};
  for (const auto& row : impact_rows())
    if (row.path.size() == object.size() + 1 + key.size() && row.path.starts_with(object) && row.path.ends_with(key))
      return row;
  return unknown;  // a test sees to it that there is a row for every value
}

template <class Object>
const Object* find(const std::vector<Object>& list, const std::string& name) {
  const auto found = std::ranges::find(list, name, &Object::name);
  return found == list.end() ? nullptr : &*found;
}

std::string shown(const std::string& text) { return text.empty() ? "none" : text; }
std::string count_text(std::size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

class planner {
 public:
  planner(const configuration& running, const configuration& wanted) : running_(running), wanted_(wanted) {}

  plan make() {
    (void)compare(texts_of(running_.gateway), texts_of(wanted_.gateway), "gateway", "gateway");
    ports();
    routes();
    tunnels();
    policies();
    (void)compare(texts_of(running_.monitoring), texts_of(wanted_.monitoring), "monitoring", "monitoring");
    for (const auto& line : out_.lines) out_.impact = std::max(out_.impact, line.impact);
    return std::move(out_);
  }

 private:
  void add(char kind, std::string path, std::string text, plan_impact impact, std::string_view reason) {
    out_.lines.push_back({kind, std::move(path), std::move(text), impact, std::string(reason)});
  }

  // Lines for what differs in one object; the strongest impact, or nothing if nothing differs.
  std::optional<plan_impact> compare(const settings_text& was, const settings_text& is, std::string_view object,
                                     const std::string& path, bool by_hand = false) {
    std::optional<plan_impact> strongest;
    for (std::size_t i = 0; i < was.size(); ++i) {
      if (was[i].text == is[i].text) continue;
      auto [row, impact, reason] = row_of(object, is[i].key);
      if (by_hand && impact != plan_impact::update) {
        impact = plan_impact::update;
        reason = "the SAs are replaced in one step";
      }
      add('~', path + "." + std::string(is[i].key), shown(was[i].text) + " -> " + shown(is[i].text), impact, reason);
      strongest = std::max(strongest.value_or(plan_impact::none), impact);
    }
    return strongest;
  }

  // Which of several comes first has the packet.
  template <class Object>
  bool reordered(const std::vector<Object>& was, const std::vector<Object>& is, const std::string& path) {
    std::string before, after;
    for (const auto& one : was)
      if (find(is, one.name) != nullptr) before += (before.empty() ? "" : ", ") + one.name;
    for (const auto& one : is)
      if (find(was, one.name) != nullptr) after += (after.empty() ? "" : ", ") + one.name;
    if (before == after) return false;
    add('~', path, before + " -> " + after, plan_impact::update, "another order");
    return true;
  }

  // What goes, what differs and what comes, of objects with names.
  template <class Object, class Gone, class Differs, class New>
  static void by_name(const std::vector<Object>& was, const std::vector<Object>& is, Gone gone, Differs differs,
                      New fresh) {
    for (const auto& one : was)
      if (find(is, one.name) == nullptr) gone(one);
    for (const auto& one : is) {
      const auto* before = find(was, one.name);
      if (before == nullptr)
        fresh(one);
      else
        differs(*before, one);
    }
  }

  static std::uint16_t largest_mtu(const configuration& config) {
    auto most = usual_mtu;
    for (const auto& port : config.ports) most = std::max(most, port.mtu);
    return most;
  }

  void ports() {
    const bool larger = largest_mtu(running_) != largest_mtu(wanted_);
    by_name(
        running_.ports, wanted_.ports,
        [&](const port_settings& port) {
          add('-', "ports." + port.name, port.device, plan_impact::update, "the device goes back to the kernel");
        },
        [&](const port_settings& was, const port_settings& is) {
          const auto first = out_.lines.size();
          (void)compare(texts_of(was), texts_of(is), "ports.NAME", "ports." + is.name);
          for (auto i = first; i < out_.lines.size(); ++i)
            if (larger && out_.lines[i].path.ends_with(".mtu")) {
              out_.lines[i].impact = plan_impact::restart;
              out_.lines[i].reason = "packet buffers of another size";
            }
        },
        [&](const port_settings& port) {
          const bool restart = larger && port.mtu > usual_mtu;
          add('+', "ports." + port.name, port.device, restart ? plan_impact::restart : plan_impact::update,
              restart ? "packet buffers of another size" : "");
        });
  }

  void routes() {
    std::vector<std::string> was, is;
    for (const auto& route : running_.routes) was.push_back(text_of(route));
    for (const auto& route : wanted_.routes) is.push_back(text_of(route));
    for (const auto& one : was)
      if (!std::ranges::contains(is, one)) add('-', "routes", one, plan_impact::update, "");
    for (const auto& one : is)
      if (!std::ranges::contains(was, one)) add('+', "routes", one, plan_impact::update, "");
  }

  void policies() {
    by_name(
        running_.policies, wanted_.policies,
        [&](const policy_settings& rule) { add('-', "policies." + rule.name, "", plan_impact::update, ""); },
        [&](const policy_settings& was, const policy_settings& is) {
          (void)compare(texts_of(was), texts_of(is), "policies[]", "policies." + is.name);
        },
        [&](const policy_settings& rule) { add('+', "policies." + rule.name, "", plan_impact::update, ""); });
    reordered(running_.policies, wanted_.policies, "policies");
  }

  void tunnels() {
    by_name(
        running_.tunnels, wanted_.tunnels, [&](const tunnel_settings& tunnel) { gone(tunnel); },
        [&](const tunnel_settings& was, const tunnel_settings& is) {
          if (was.ike.has_value() == is.ike.has_value()) return differs(was, is);
          gone(was);
          fresh(is);
        },
        [&](const tunnel_settings& tunnel) { fresh(tunnel); });
    reordered(running_.tunnels, wanted_.tunnels, "tunnels");
  }

  void gone(const tunnel_settings& tunnel) {
    const auto children = count_text(tunnel.children.size(), tunnel.ike ? "child SA" : "pair");
    add('-', "tunnels." + tunnel.name, tunnel.ike ? "keys by IKE" : "keys by hand", plan_impact::update,
        tunnel.ike ? "closes its IKE SA, " + children : "removes " + children + " of SAs");
    out_.tunnels.push_back({tunnel.name, '-', plan_impact::update, {}});
  }
  void fresh(const tunnel_settings& tunnel) {
    std::string children;
    for (const auto& child : tunnel.children) children += (children.empty() ? "" : ", ") + child.name;
    add('+', "tunnels." + tunnel.name, tunnel.ike ? "keys by IKE" : "keys by hand", plan_impact::update,
        "with " + children);
    out_.tunnels.push_back({tunnel.name, '+', plan_impact::update, {}});
  }

  void differs(const tunnel_settings& was, const tunnel_settings& is) {
    const auto path = "tunnels." + is.name;
    const bool by_hand = !is.ike;
    const auto own = compare(texts_of(was), texts_of(is), "tunnels.NAME", path, by_hand);
    tunnel_change change{is.name, '~', own.value_or(plan_impact::none), {}};
    by_name(
        was.children, is.children,
        [&](const child_settings& child) {
          add('-', path + ".children." + child.name, "", plan_impact::update, "closes its SAs");
          change.children.push_back({child.name, '-', plan_impact::update});
        },
        [&](const child_settings& before, const child_settings& after) {
          if (const auto impact = compare(texts_of(before), texts_of(after), "tunnels.NAME.children.NAME",
                                          path + ".children." + after.name, by_hand))
            change.children.push_back({after.name, '~', *impact});
        },
        [&](const child_settings& child) {
          add('+', path + ".children." + child.name, "", plan_impact::update, "");
          change.children.push_back({child.name, '+', plan_impact::update});
        });
    const bool moved = reordered(was.children, is.children, path + ".children");
    if (moved) change.impact = std::max(change.impact, plan_impact::update);
    if (own || moved || !change.children.empty()) out_.tunnels.push_back(std::move(change));
  }

  const configuration& running_;
  const configuration& wanted_;
  plan out_;
};

}  // namespace

std::string_view to_string(plan_impact impact) {
  static constexpr std::string_view words[] = {"none", "update", "rekey", "reauth", "reconnect", "restart"};
  return words[static_cast<std::size_t>(impact)];
}

plan make_plan(const configuration& running, const configuration& wanted) { return planner(running, wanted).make(); }

}  // namespace trunkgate
