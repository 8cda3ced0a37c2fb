//! The one place that builds the application from its real parts.
