#ifndef CLIBTORRENT_BUILD_HPP
#define CLIBTORRENT_BUILD_HPP

// Included before any header of libtorrent: with other defines than the library was built with, its types have another
// layout, and only some of that shows when linking.

#if !defined(TORRENT_LINKING_SHARED) || !defined(TORRENT_USE_OPENSSL) || !defined(TORRENT_USE_LIBCRYPTO) \
    || !defined(TORRENT_SSL_PEERS) || !defined(BOOST_ASIO_ENABLE_CANCELIO) || !defined(BOOST_ASIO_NO_DEPRECATED)
#error "compile with the defines that Package.swift gives: those the library was built with"
#endif

#if defined(TORRENT_NO_DEPRECATE) || defined(TORRENT_USE_ASSERTS) || defined(TORRENT_DISABLE_EXTENSIONS) \
    || defined(TORRENT_DISABLE_STREAMING) || defined(TORRENT_DISABLE_LOGGING) || defined(TORRENT_DISABLE_DHT) \
    || defined(TORRENT_DISABLE_MUTABLE_TORRENTS) || defined(TORRENT_DISABLE_SHARE_MODE) \
    || defined(TORRENT_DISABLE_SUPERSEEDING) || defined(TORRENT_DISABLE_PREDICTIVE_PIECES)
#error "the library was built without this define"
#endif

#endif
