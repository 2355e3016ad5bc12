#ifndef CLIBTORRENT_METADATA_HPP
#define CLIBTORRENT_METADATA_HPP

#include "build.hpp"

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/span.hpp>
#include <libtorrent/torrent_info.hpp>

#include <memory>
#include <vector>

/// Reads metadata from a .torrent into `parameters`: the info dictionary and the piece layers, and nothing else that is
/// in it. Throws #CLT_INVALID.
void read_torrent_file(lt::span<const char> bytes, lt::add_torrent_params& parameters);

/// Likewise from an info dictionary.
void read_info(lt::span<const char> bytes, lt::add_torrent_params& parameters);

/// The priorities of a new torrent: `wanted_head` pieces wanted most, the others not at all.
void set_priorities(lt::add_torrent_params& parameters, uint32_t wanted_head);

/// What clt_save_resume() answers, with a checksum.
std::vector<char> write_resume(const lt::add_torrent_params& saved);

/// Takes from resume data what can be used for this torrent, whose metadata may be there or not: nothing if they are
/// damaged or another's, and with `peers_only` no more than the peers.
void apply_resume(lt::span<const char> bytes, bool peers_only, lt::add_torrent_params& parameters);

#endif
