import Glibc

/// Tells one run of the machine from another: what was written to files without a sync survives the process, not the
/// machine.
enum BootID {
    /// 36 bytes; `nil` if the kernel does not tell.
    static let current: [UInt8]? = {
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 36)
        return read(descriptor, &bytes, bytes.count) == bytes.count ? bytes : nil
    }()
}
