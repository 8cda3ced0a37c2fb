//! Reads files into text with its place on the page, and cuts the text into chunks.
