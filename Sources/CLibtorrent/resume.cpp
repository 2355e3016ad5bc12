#include "metadata.hpp"

#include "failure.hpp"

#include <libtorrent/hasher.hpp>
#include <libtorrent/read_resume_data.hpp>
#include <libtorrent/write_resume_data.hpp>

#include <algorithm>
#include <cstring>

namespace {

constexpr std::ptrdiff_t digest_size = lt::sha256_hash::size();
constexpr int default_block = 16 * 1024;

/// The bytes without their checksum; empty if it is wrong.
lt::span<const char> verified(lt::span<const char> bytes) {
    if (bytes.size() <= digest_size)
        return {};
    const lt::span<const char> body = bytes.first(bytes.size() - digest_size);
    const lt::sha256_hash digest = lt::hasher256(body).final();
    return std::memcmp(digest.data(), bytes.last(digest_size).data(), digest_size) == 0 ? body : lt::span<const char>{};
}

bool is_of(const lt::info_hash_t& saved, const lt::info_hash_t& torrent) {
    return (!torrent.has_v1() || !saved.has_v1() || saved.v1 == torrent.v1)
        && (!torrent.has_v2() || !saved.has_v2() || saved.v2 == torrent.v2)
        && ((torrent.has_v1() && saved.has_v1()) || (torrent.has_v2() && saved.has_v2()));
}

/// libtorrent takes these as they are: a piece or block that does not exist would be written past the end of a list.
void apply_pieces(const lt::add_torrent_params& saved, lt::add_torrent_params& parameters) {
    const lt::torrent_info& torrent = *parameters.ti;
    if (saved.have_pieces.size() != torrent.num_pieces())
        return;
    parameters.have_pieces = saved.have_pieces;
    if (saved.verified_pieces.size() == torrent.num_pieces())
        parameters.verified_pieces = saved.verified_pieces;
    const int block = std::min(torrent.piece_length(), default_block);
    for (const auto& [piece, bits] : saved.unfinished_pieces) {
        if (piece < lt::piece_index_t{ 0 } || piece >= torrent.end_piece() || saved.have_pieces.get_bit(piece))
            continue;
        const int blocks = (torrent.piece_size(piece) + block - 1) / block;
        if (bits.size() < blocks)
            continue;
        lt::bitfield& kept = parameters.unfinished_pieces[piece];
        kept = bits;
        kept.resize(blocks);
    }
}

}  // namespace

std::vector<char> write_resume(const lt::add_torrent_params& saved) {
    lt::add_torrent_params kept;
    kept.info_hashes = saved.info_hashes;
    kept.have_pieces = saved.have_pieces;
    kept.verified_pieces = saved.verified_pieces;
    kept.unfinished_pieces = saved.unfinished_pieces;
    kept.peers = saved.peers;
    kept.total_uploaded = saved.total_uploaded;
    kept.total_downloaded = saved.total_downloaded;
    std::vector<char> bytes = lt::write_resume_data_buf(kept);
    const lt::sha256_hash digest = lt::hasher256(bytes).final();
    bytes.insert(bytes.end(), digest.data(), digest.data() + digest_size);
    return bytes;
}

void apply_resume(lt::span<const char> bytes, bool peers_only, lt::add_torrent_params& parameters) {
    const lt::span<const char> body = verified(bytes);
    if (body.empty())
        return;
    lt::error_code error;
    lt::load_torrent_limits limits;
    limits.max_pieces = CLT_MAX_PIECES;
    const lt::add_torrent_params saved = lt::read_resume_data(body, error, limits);
    if (error || !is_of(saved.info_hashes, parameters.info_hashes))
        return;
    parameters.peers.insert(parameters.peers.end(), saved.peers.begin(), saved.peers.end());
    if (peers_only)
        return;
    parameters.total_uploaded = std::max<int64_t>(saved.total_uploaded, 0);
    parameters.total_downloaded = std::max<int64_t>(saved.total_downloaded, 0);
    if (parameters.ti)
        apply_pieces(saved, parameters);
}
