// The one watch of the data plane: from a client's request to the workers, and their records back with names in them.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "dataplane/api/messages.hpp"
#include "dataplane/main/port_set.hpp"
#include "dataplane/main/sa_set.hpp"
#include "dataplane/pipeline/pipeline.hpp"

namespace trunkgate {

// Control thread.
class watcher {
 public:
  watcher(pipeline& workers, const port_set& ports, const sa_set& sas) : pipeline_(workers), ports_(ports), sas_(sas) {}

  // Only where none is on.
  [[nodiscard]] result<void> start(const api::watch_request& request);
  // Workers note nothing more from their next turn on; what they have noted can still be drained.
  void stop();
  // Stops and frees it, whatever is left.
  void abandon();
  // Hands out what was noted, oldest first, until there is no more or `each` says that it can take no more.
  void drain(const std::function<bool(const api::watched&, std::span<const std::uint8_t>)>& each);
  // Stopped, and nothing is left or will come.
  [[nodiscard]] bool drained() const;
  [[nodiscard]] api::watched last_word() const;  // the record `ended`

 private:
  [[nodiscard]] result<watch_filter> filter_for(const api::watch_request& request) const;
  [[nodiscard]] api::watched named(const watch_record& record) const;
  [[nodiscard]] worker_watch* oldest() const;

  pipeline& pipeline_;
  const port_set& ports_;
  const sa_set& sas_;
  std::unique_ptr<watch> watch_;
  std::shared_ptr<bool> quiet_;  // set when the grace period after stop() is over
  std::uint32_t next_id_ = 0;    // ids go round, so that a packet of an earlier watch is not taken for one of the next
  std::uint64_t start_tsc_ = 0, start_unix_ns_ = 0;
};

}  // namespace trunkgate
