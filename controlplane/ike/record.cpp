#include "controlplane/ike/record.hpp"

namespace trunkgate::ike {

std::string_view name(trouble what) {
  switch (what) {
    case trouble::none: return "none";
    case trouble::peer_silent: return "peer_silent";
    case trouble::no_route: return "no_route";
    case trouble::unknown_peer: return "unknown_peer";
    case trouble::no_common_proposal: return "no_common_proposal";
    case trouble::no_common_group: return "no_common_group";
    case trouble::peer_refused_ike: return "peer_refused_ike";
    case trouble::peer_not_authentic: return "peer_not_authentic";
    case trouble::peer_refused_us: return "peer_refused_us";
    case trouble::own_key: return "own_key";
    case trouble::no_common_child_proposal: return "no_common_child_proposal";
    case trouble::selectors_unacceptable: return "selectors_unacceptable";
    case trouble::mode_differs: return "mode_differs";
    case trouble::peer_refused_child: return "peer_refused_child";
    case trouble::key_exchange_refused: return "key_exchange_refused";
    case trouble::post_quantum_key: return "post_quantum_key";
    case trouble::protocol_error: return "protocol_error";
    case trouble::data_plane: return "data_plane";
    case trouble::closed_by_peer: return "closed_by_peer";
    case trouble::closed_by_us: return "closed_by_us";
  }
  return "none";
}

}  // namespace trunkgate::ike
