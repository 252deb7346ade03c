// `trunkgate capture`: packets from the data plane into a pcapng file or pipe.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "controlplane/cli/pcapng.hpp"
#include "controlplane/cli/text.hpp"
#include "controlplane/cli/watch.hpp"
#include "dataplane/core/drop_reason.hpp"

namespace trunkgate {

namespace {

// A file descriptor to which whole blocks go at once, so that a reader behind a pipe sees each packet as it comes.
class capture_file {
 public:
  explicit capture_file(int descriptor) : descriptor_(descriptor) {}
  capture_file(capture_file&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  capture_file(const capture_file&) = delete;
  ~capture_file() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  [[nodiscard]] static result<capture_file> open(const std::string& name) {
    if (name != "-") {
      // For its owner only: it holds what the tunnels hide.
      const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      if (descriptor < 0) return system_failure("open " + name);
      return capture_file(descriptor);
    }
    if (::isatty(STDOUT_FILENO) == 1)
      return failure("standard output is a terminal: give a file (-w FILE) or a reader (-w - | tshark -r -)");
    return capture_file(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
  }

  [[nodiscard]] int descriptor() const { return descriptor_; }
  // False: the reader has gone, or the disk is full; errno says so.
  [[nodiscard]] bool write(std::span<const std::uint8_t> bytes) const {
    while (!bytes.empty()) {
      const auto written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return true;
  }

 private:
  int descriptor_;
};

std::string drop_comment(const api::watched& record) {
  if (record.reason >= drop_reason_count) return "dropped: reason " + std::to_string(record.reason);
  const auto& why = drop_reasons[record.reason];
  return "dropped in " + std::string(record.stage.view()) + ": " + std::string(why.name) + ", " +
         std::string(why.meaning);
}

std::string or_unknown(const api::name& name) { return name.view().empty() ? "unknown" : std::string(name.view()); }

// The blocks of one packet.
pcapng_writer::block blocks_for(pcapng_writer& writer, const api::watched& record,
                                std::span<const std::uint8_t> bytes) {
  pcapng_packet packet{.unix_ns = record.unix_ns, .bytes = bytes, .length = record.length};
  std::string name, comment;
  auto link = record.framed != 0 ? link_type::ethernet : link_type::raw_ip;
  switch (record.event) {
    case watch_event::frame_in:
      name = or_unknown(record.ingress) + " (wire)";
      packet.direction = packet_direction::inbound;
      break;
    case watch_event::frame_out:
      name = or_unknown(record.egress) + " (wire)";
      packet.direction = packet_direction::outbound;
      break;
    case watch_event::inner_in:
    case watch_event::inner_out:
      name = or_unknown(record.tunnel) + " (inner)";
      packet.direction = record.event == watch_event::inner_in ? packet_direction::inbound : packet_direction::outbound;
      link = link_type::raw_ip;
      break;
    default:
      name = or_unknown(record.ingress) + (record.inner != 0 ? " (inner, dropped)" : " (wire, dropped)");
      comment = drop_comment(record);
      packet.comment = comment;
  }
  pcapng_writer::block out;
  packet.interface = writer.interface(name, link, out);
  const auto block = pcapng_writer::packet(packet);
  out.insert(out.end(), block.begin(), block.end());
  return out;
}

result<api::watch_request> request_from(const arguments& given, const watch_words& words) {
  api::watch_request request;
  request.mode = api::watch_mode::capture;
  request.tunnel = api::name(words.tunnel);
  request.from = words.from;
  request.to = words.to;
  const auto view = given.value("view", "both");
  if (view != "wire" && view != "inner" && view != "both") return failure("--view is wire, inner or both");
  request.wire = view != "inner" ? 1 : 0;
  request.inner = view != "wire" ? 1 : 0;
  return request;
}

}  // namespace

int run_capture(const arguments& given) {
  const auto fail = [](const std::string& reason) {
    std::cerr << "trunkgate capture: " << reason << "\n";
    return exit_failed;
  };
  auto words = parse_watch_words(given.words);
  if (!words) return fail(words.error().reason + " (trunkgate help capture)");
  if (!given.has("write")) return fail("where to? -w FILE, or -w - for a pipe");
  auto request = request_from(given, *words);
  if (!request) return fail(request.error().reason);
  auto channel = connect_to_data_plane(given);
  if (!channel) return fail(channel.error().reason);
  auto file = capture_file::open(given.value("write"));
  if (!file) return fail(file.error().reason);
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes ends the capture, in good order

  pcapng_writer writer;
  std::uint64_t captured = 0;
  bool writable = file->write(pcapng_writer::section_header("trunkgate " TRUNKGATE_VERSION));
  int why = writable ? 0 : errno;
  const watch_reader reader{.take =
                                [&](const api::watched& record, std::span<const std::uint8_t> bytes) {
                                  writable = file->write(blocks_for(writer, record, bytes));
                                  if (!writable) why = errno;
                                  captured += writable ? 1 : 0;
                                  return writable && (!words->count || captured < *words->count);
                                },
                            .idle = [&] { return writable; },
                            .output = file->descriptor()};
  const auto lost = watch_packets(*channel, *request, "trunkgate capture: capturing; Ctrl-C ends it", reader);
  if (!lost) return fail(lost.error().reason);
  std::cerr << "trunkgate capture: " << captured << " packets captured, " << *lost << " lost by a full ring\n";
  if (!writable && why != EPIPE) return fail("write: " + std::string(std::strerror(why)));
  return exit_well;
}

}  // namespace trunkgate
