// Asks an OCSP responder over HTTP (RFC 6960 appendix A) whether a certificate was revoked.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "controlplane/ike/wire/payload.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::ike {

// Remembers responses as long as they say they are fresh, so that a tunnel that comes up again asks nobody; one that
// nobody would believe is not kept, or whoever can forge an answer once would have it stand for a day. Not thread-safe:
// its calls are made from one executor. What it fetches is judged by verify_chain() like any stapled response
// (`chain_input::ocsp_responses`): HTTP needs no trust. Ask only about a certificate whose path was found good, for who
// made it names the machine that is asked.
class revocation_fetcher {
 public:
  using clock = std::chrono::system_clock;
  struct limits {
    std::chrono::milliseconds patience{3000};  // for all of it: name, connection, answer
    std::size_t response_bytes = 64 * 1024;
    std::size_t remembered = 1024;
    std::chrono::seconds longest_memory{24 * 3600};
  };

  explicit revocation_fetcher(limits given) : limits_(given) {}
  revocation_fetcher() : revocation_fetcher(limits{}) {}

  // The DER of the response to `certificate`, which `issuer` issued (both DER), from the responder that the certificate
  // names (RFC 5280 4.2.2.1; http only). Fails with a reason when it names none, or nothing of use came in time.
  [[nodiscard]] boost::asio::awaitable<result<bytes>> fetch_ocsp(bytes certificate, bytes issuer,
                                                                 clock::time_point now);

 private:
  struct remembered {
    bytes response;
    clock::time_point until;
  };
  void remember(bytes question, const bytes& response, clock::time_point now);

  limits limits_;
  std::map<bytes, remembered> memory_;  // by the question's DER
};

}  // namespace trunkgate::ike
