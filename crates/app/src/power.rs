//! Whether the computer runs on its battery.

use std::{fs, path::Path};

/// Where Linux tells what feeds the computer. Other systems are taken for plugged in.
pub const POWER_SUPPLIES: &str = "/sys/class/power_supply";

/// Whether the computer runs on its battery, by the power supplies in this folder, as the
/// kernel's `sysfs-class-power` describes them.
pub fn on_battery(supplies: &Path) -> bool {
    let Ok(entries) = fs::read_dir(supplies) else { return false };
    let mut discharges = false;
    for supply in entries.flatten().map(|entry| entry.path()) {
        let says = |name: &str, value: &str| {
            fs::read_to_string(supply.join(name)).is_ok_and(|found| found.trim() == value)
        };
        // Mice and telephones have batteries too.
        if says("scope", "Device") {
            continue;
        }
        if (says("type", "Mains") || says("type", "USB")) && !says("online", "0") {
            return false;
        }
        discharges |= says("type", "Battery") && says("status", "Discharging");
    }
    discharges
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_computer_runs_on_its_battery_when_that_discharges_and_nothing_feeds_it() {
        type Supply = &'static [(&'static str, &'static str)];
        const CABLE: Supply = &[("type", "Mains"), ("online", "1")];
        const NO_CABLE: Supply = &[("type", "Mains"), ("online", "0")];
        const PORT: Supply = &[("type", "USB"), ("online", "0")];
        const EMPTYING: Supply = &[("type", "Battery"), ("status", "Discharging")];
        const FULL: Supply = &[("type", "Battery"), ("status", "Full")];
        const MOUSE: Supply =
            &[("type", "Battery"), ("status", "Discharging"), ("scope", "Device")];
        let cases: [(&[Supply], bool); 9] = [
            (&[], false),
            (&[CABLE], false),
            (&[NO_CABLE, EMPTYING], true),
            (&[EMPTYING], true),
            (&[PORT, NO_CABLE, EMPTYING], true),
            // A weak cable feeds too little, and the battery helps.
            (&[CABLE, EMPTYING], false),
            (&[NO_CABLE, FULL], false),
            (&[MOUSE], false),
            (&[FULL, EMPTYING], true),
        ];
        for (supplies, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            for (number, supply) in supplies.iter().enumerate() {
                let supply_folder = folder.path().join(number.to_string());
                fs::create_dir(&supply_folder).unwrap();
                for (name, value) in *supply {
                    fs::write(supply_folder.join(name), format!("{value}\n")).unwrap();
                }
            }
            assert_eq!(on_battery(folder.path()), expected, "{supplies:?}");
        }
        assert!(!on_battery(Path::new("/no/such/folder")));
    }
}
