#include "session.hpp"

#include <libtorrent/version.hpp>

#include <string>

namespace {

/// Sets the setting of this name by `assign`, which gets its index.
template <typename Assign>
clt_code set(clt_settings* settings, const char* name, int type, Assign assign) noexcept {
    return guarded([&] {
        require(settings != nullptr && name != nullptr);
        const int index = lt::setting_by_name(name);
        require(index >= 0, CLT_UNKNOWN_SETTING);
        require((index & lt::settings_pack::type_mask) == type, CLT_WRONG_TYPE);
        assign(settings->pack, index);
    });
}

}  // namespace

extern "C" const char* clt_version(void) noexcept {
    return lt::version();
}

extern "C" int clt_is_compatible(void) noexcept {
    try {
        const auto release = [](const std::string& version) { return version.substr(0, version.rfind('.')); };
        return release(lt::version()) == release(LIBTORRENT_VERSION);
    } catch (...) {
        return 0;
    }
}

extern "C" clt_code clt_settings_new(clt_settings** settings) noexcept {
    return guarded([&] {
        require(settings != nullptr);
        *settings = nullptr;
        *settings = new clt_settings{ default_settings() };
    });
}

extern "C" clt_code clt_settings_new_empty(clt_settings** settings) noexcept {
    return guarded([&] {
        require(settings != nullptr);
        *settings = nullptr;
        *settings = new clt_settings{};
    });
}

extern "C" clt_code clt_settings_set_string(clt_settings* settings, const char* name, const char* value) noexcept {
    if (value == nullptr)
        return CLT_INVALID;
    return set(settings, name, lt::settings_pack::string_type_base, [&](lt::settings_pack& pack, int index) {
        pack.set_str(index, value);
    });
}

extern "C" clt_code clt_settings_set_int(clt_settings* settings, const char* name, int value) noexcept {
    return set(settings, name, lt::settings_pack::int_type_base, [&](lt::settings_pack& pack, int index) {
        pack.set_int(index, value);
    });
}

extern "C" clt_code clt_settings_set_bool(clt_settings* settings, const char* name, int value) noexcept {
    return set(settings, name, lt::settings_pack::bool_type_base, [&](lt::settings_pack& pack, int index) {
        pack.set_bool(index, value != 0);
    });
}

extern "C" void clt_settings_free(clt_settings* settings) noexcept {
    delete settings;
}
