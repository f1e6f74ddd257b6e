//! The machine: its name, its boot, and whether a directory lies on one of its disks.

use std::path::Path;

/// The name of this machine.
pub(crate) fn name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The identifier of this boot of the machine, where the system has one.
pub(crate) fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// Whether a directory is certainly on a disk of this machine, where a file lock is known to hold.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_known_local(dir: &Path) -> bool {
    /// Magic numbers of statfs(2): ext2 to ext4, xfs, btrfs, tmpfs, overlayfs, f2fs, zfs, bcachefs, squashfs, ramfs.
    const LOCAL: [u32; 10] = [
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0x0102_1994,
        0x794C_7630,
        0xF2F5_2010,
        0x2FC1_2FC1,
        0xCA45_1A4E,
        0x7371_7368,
        0x8584_58F6,
    ];
    let magic = |stat: rustix::fs::StatFs| u32::try_from(stat.f_type).ok();
    rustix::fs::statfs(dir)
        .ok()
        .and_then(magic)
        .is_some_and(|magic| LOCAL.contains(&magic))
}

/// Whether a directory is certainly on a disk of this machine, where a file lock is known to hold.
#[cfg(target_vendor = "apple")]
pub(crate) fn is_known_local(dir: &Path) -> bool {
    /// `MNT_LOCAL` of statfs(2).
    const LOCAL: u32 = 0x1000;
    rustix::fs::statfs(dir).is_ok_and(|stat| stat.f_flags & LOCAL != 0)
}

/// Whether a directory is certainly on a disk of this machine; other systems do not say.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn is_known_local(_: &Path) -> bool {
    false
}
