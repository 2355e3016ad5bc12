#include "failure.hpp"

#include <libtorrent/hasher.hpp>

#include <algorithm>
#include <cstring>

namespace {

/// libtorrent counts the bytes of one call in an int on some platforms; parts of this size are safe on all.
constexpr size_t part = 1 << 30;

template <typename Hasher>
void digest_of(const uint8_t* bytes, size_t count, uint8_t* digest) noexcept {
    guarded([&] {
        require(digest != nullptr && (bytes != nullptr || count == 0));
        Hasher hasher;
        for (size_t done = 0; done < count; done += part) {
            const size_t length = std::min(part, count - done);
            hasher.update({ reinterpret_cast<const char*>(bytes) + done, static_cast<std::ptrdiff_t>(length) });
        }
        const auto made = hasher.final();
        std::memcpy(digest, made.data(), static_cast<size_t>(made.size()));
    });
}

}  // namespace

extern "C" void clt_sha1(const uint8_t* bytes, size_t count, uint8_t* digest) noexcept {
    digest_of<lt::hasher>(bytes, count, digest);
}

extern "C" void clt_sha256(const uint8_t* bytes, size_t count, uint8_t* digest) noexcept {
    digest_of<lt::hasher256>(bytes, count, digest);
}
