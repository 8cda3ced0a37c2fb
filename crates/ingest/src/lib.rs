//! Discovers, watches and schedules: from a file on the disk to a searchable document.
