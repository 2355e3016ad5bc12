#include "metadata.hpp"

#include "failure.hpp"

#include <libtorrent/bdecode.hpp>
#include <libtorrent/load_torrent.hpp>

#include <algorithm>
#include <string>

namespace {

constexpr int max_depth = 100;
constexpr int max_tokens = 3000000;
/// 8 MiB of info dictionary and as much of piece layers.
constexpr size_t max_bytes = 16 * 1024 * 1024;

void append(std::string& text, lt::span<const char> bytes) {
    text.append(bytes.data(), static_cast<size_t>(bytes.size()));
}

/// Reads a file that has been made here.
void load(const std::string& file, lt::add_torrent_params& parameters) {
    lt::load_torrent_limits limits;
    limits.max_pieces = CLT_MAX_PIECES;
    limits.max_decode_depth = max_depth;
    limits.max_decode_tokens = max_tokens;
    lt::add_torrent_params loaded = lt::load_torrent_buffer(file, limits);
    require(loaded.ti != nullptr && loaded.ti->is_valid());
    parameters.ti = std::move(loaded.ti);
    parameters.info_hashes = loaded.info_hashes;
    parameters.merkle_trees = std::move(loaded.merkle_trees);
    parameters.merkle_tree_mask = std::move(loaded.merkle_tree_mask);
}

}  // namespace

void read_torrent_file(lt::span<const char> bytes, lt::add_torrent_params& parameters) {
    require(static_cast<size_t>(bytes.size()) <= max_bytes);
    try {
        lt::error_code error;
        int position = 0;
        const lt::bdecode_node root = lt::bdecode(bytes, error, &position, max_depth, max_tokens);
        require(!error && root.type() == lt::bdecode_node::dict_t);
        const lt::bdecode_node info = root.dict_find_dict("info");
        require(static_cast<bool>(info));
        std::string file = "d4:info";
        append(file, info.data_section());
        if (const lt::bdecode_node layers = root.dict_find_dict("piece layers")) {
            file += "12:piece layers";
            append(file, layers.data_section());
        }
        file += "e";
        load(file, parameters);
    } catch (const lt::system_error&) {
        throw failure{ CLT_INVALID };
    }
}

void read_info(lt::span<const char> bytes, lt::add_torrent_params& parameters) {
    std::string file = "d4:info";
    append(file, bytes);
    file += "e";
    try {
        load(file, parameters);
    } catch (const lt::system_error&) {
        throw failure{ CLT_INVALID };
    }
}

void set_priorities(lt::add_torrent_params& parameters, uint32_t wanted_head) {
    // Without metadata it may be too long: libtorrent cuts it. Were it too short, the rest would be wanted. (The flag
    // default_dont_download is no way to say this: it makes all data go to a hidden file.)
    const auto count = parameters.ti ? static_cast<size_t>(parameters.ti->num_pieces()) : size_t{ CLT_MAX_PIECES };
    parameters.piece_priorities.assign(count, lt::dont_download);
    const auto wanted = static_cast<std::ptrdiff_t>(std::min<size_t>(wanted_head, count));
    std::fill_n(parameters.piece_priorities.begin(), wanted, lt::top_priority);
}
