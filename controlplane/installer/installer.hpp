// Puts the whole configured state into the data plane, in one batch.
#pragma once

#include <cstdint>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "controlplane/installer/door.hpp"
#include "controlplane/policy/compile.hpp"

namespace trunkgate {

class installer {
 public:
  using report = door::answer;

  explicit installer(door& to) : door_(to) {}

  // Sends everything as one batch that replaces what the configuration had put there; unchanged objects and negotiated
  // SAs are not touched by the data plane. Takes the records over, so that the keys in them are wiped once they are
  // sent.
  [[nodiscard]] boost::asio::awaitable<report> install(compiled wanted);

 private:
  door& door_;
};

}  // namespace trunkgate
