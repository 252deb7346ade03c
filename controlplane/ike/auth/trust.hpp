// What trust_anchors holds behind its pointer.
#pragma once

#include <vector>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/openssl_types.hpp"

namespace trunkgate::ike {

struct anchor_content {
  x509_store_ptr store;
  std::vector<crl_ptr> crls;
};

// The way into it for verify_chain().
struct chain_check {
  [[nodiscard]] static const anchor_content& content(const trust_anchors& anchors) {
    return *static_cast<const anchor_content*>(anchors.store_.get());
  }
};

}  // namespace trunkgate::ike
