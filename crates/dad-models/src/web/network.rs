//! Which addresses are of the public internet, by the registries of special addresses of IANA.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is of the public internet. Every other one may be of this machine, or of a network that trusts it.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match inner_v4(address) {
            Some(inner) => is_public_v4(inner),
            // Everything that is given out so far.
            None => in_prefix(address, [0x2000, 0, 0], 3) && !is_special_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_protocol = first == 192 && second == 0 && third == 0;
    let is_benchmark = first == 198 && (18..20).contains(&second);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || is_shared
        || is_protocol
        || is_benchmark
        // "This network"; groups, reserved ones and broadcast.
        || first == 0
        || first >= 224)
}

/// The address of version 4 that one of version 6 stands for: mapped, compatible, translated (NAT64) or tunnelled (6to4).
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b) {
        (0, 0) if (c, d, e) == (0, 0, 0) && (f == 0xffff || f == 0) => Some(of(g, h)),
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => Some(of(g, h)),
        (0x2002, _) => Some(of(b, c)),
        _ => None,
    }
}

/// Documentation, benchmarks and tunnels within the addresses that are given out.
fn is_special_v6(address: Ipv6Addr) -> bool {
    in_prefix(address, [0x2001, 0, 0], 23)
        || in_prefix(address, [0x2001, 0x0db8, 0], 32)
        || in_prefix(address, [0x3fff, 0, 0], 20)
}

fn in_prefix(address: Ipv6Addr, [a, b, c]: [u16; 3], bits: u32) -> bool {
    let mask = u128::MAX << (128 - bits);
    let prefix = Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
    u128::from(address) & mask == u128::from(prefix) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_translator_of_a_network_of_its_own_is_not_public() {
        // Its prefix is longer than the well-known one, so that the address of version 4 stands elsewhere.
        let address: IpAddr = "64:ff9b:1:a9fe:a9:fe00:808:808".parse().unwrap();
        assert!(!is_public(address));
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "172.15.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(public.parse().is_ok_and(is_public), "{public}");
        }
        for other in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(other.parse().is_ok_and(|address| !is_public(address)), "{other}");
        }
    }
}
