import CLinux

/// What kind of file system a file is on, as far as reading it is concerned.
enum FileSystem: Sendable, Hashable {
    /// On disks or in the memory of this machine: nothing but the blocks of a file can make a call wait.
    case local
    /// proc, sysfs, debugfs and tracefs: their files look regular, have no size that means anything, and may block.
    case kernel
    /// Over a network, or in a program: any call may wait for somebody else.
    case other

    /// Asks the file system. Blocks.
    init(of descriptor: Int32) throws(SystemCallFailure) {
        var type: UInt64 = 0
        let result = clinux_file_system_type(descriptor, &type)
        guard result == 0 else { throw SystemCallFailure(call: "fstatfs", number: -result) }
        self = Self.localTypes.contains(type) ? .local : Self.kernelTypes.contains(type) ? .kernel : .other
    }

    /// ext2 to ext4, XFS, Btrfs, tmpfs, F2FS, overlayfs.
    private static let localTypes: [UInt64] = [
        0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0xF2F5_2010, 0x794C_7630,
    ]
    private static let kernelTypes: [UInt64] = [0x9FA0, 0x6265_6572, 0x6462_6720, 0x7472_6163]
}
