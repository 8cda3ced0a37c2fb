//! What a person has set for the window.

use crate::{App, DesktopSettings, Result, error};

/// The setting that holds [`DesktopSettings`] as JSON.
const SETTINGS: &str = "desktop";

impl App {
    /// What the window does besides showing.
    pub fn desktop_settings(&self) -> Result<DesktopSettings> {
        let stored = self.catalog().setting(SETTINGS)?.unwrap_or_default();
        // What a later version wrote gives way to the usual.
        Ok(serde_json::from_str(&stored).unwrap_or_default())
    }

    /// Sets what the window does besides showing.
    pub fn set_desktop_settings(&self, settings: &DesktopSettings) -> Result<()> {
        let stored = serde_json::to_string(settings).map_err(|fault| error::internal(&fault))?;
        Ok(self.catalog().set_setting(SETTINGS, &stored)?)
    }
}
