//! The hands of a person on a display: they drop files on a window, and press keys.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use lectern_tests::wait_for;
use x11rb::{
    CURRENT_TIME,
    connection::Connection,
    protocol::{
        Event,
        xproto::{
            AtomEnum, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask, GrabMode,
            KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MapState, ModMask, PropMode,
            SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window,
            WindowClass,
        },
        xtest::ConnectionExt as _,
    },
    rust_connection::RustConnection,
    wrapper::ConnectionExt as _,
};

x11rb::atom_manager! {
    /// Of the protocol by which programs of X11 drop things on each other, in its version 5
    /// (https://www.freedesktop.org/wiki/Specifications/XDND/).
    Names: NamesCookie {
        XdndAware,
        XdndSelection,
        XdndEnter,
        XdndPosition,
        XdndStatus,
        XdndDrop,
        XdndFinished,
        XdndActionCopy,
        Files: b"text/uri-list",
    }
}

/// A key as X11 numbers its meaning.
pub const CONTROL: u32 = 0xffe3;
pub const ALT: u32 = 0xffe9;

/// A display without a desktop.
pub struct Desktop {
    display: RustConnection,
    root: Window,
    names: Names,
}

impl Desktop {
    /// Whatever runs on the display `name`, such as `:99`, which lets everybody in.
    pub fn connect(name: &str) -> Self {
        let (display, screen) = RustConnection::connect(Some(name)).unwrap();
        let root = display.setup().roots[screen].root;
        let names = Names::new(&display).unwrap().reply().unwrap();
        Self { display, root, names }
    }

    /// Drags files over the window that is there and drops them, as a file manager does.
    pub fn drop_files(&self, paths: &[PathBuf]) {
        let target = wait_for("a window that takes files", || self.window_for_files());
        let source = self.own_window();
        let owns = self.display.set_selection_owner(source, self.names.XdndSelection, CURRENT_TIME);
        owns.unwrap().check().unwrap();
        let files: String = paths.iter().map(|path| format!("{}\r\n", address(path))).collect();

        self.tell(target, self.names.XdndEnter, [source, 5 << 24, self.names.Files, 0, 0]);
        self.drag_to(target, source, 300);
        let mut is_read = false;
        let mut moved = 300;
        wait_for("the window to want the files", || {
            match self.display.poll_for_event().unwrap()? {
                Event::SelectionRequest(request) => {
                    is_read |= self.hand_over(&request, &files);
                    None
                }
                Event::ClientMessage(reply) if reply.type_ == self.names.XdndStatus => {
                    let [_, accepts, ..] = reply.data.as_data32();
                    if is_read && accepts & 1 == 1 {
                        return Some(());
                    }
                    // It is asked again with the next move, as one makes many.
                    moved += 1;
                    self.drag_to(target, source, moved);
                    None
                }
                _ => None,
            }
        });
        self.tell(target, self.names.XdndDrop, [source, 0, CURRENT_TIME, 0, 0]);
        wait_for("the window to take the files", || {
            match self.display.poll_for_event().unwrap()? {
                Event::SelectionRequest(request) => {
                    self.hand_over(&request, &files);
                    None
                }
                Event::ClientMessage(reply) => {
                    (reply.type_ == self.names.XdndFinished).then_some(())
                }
                _ => None,
            }
        });
    }

    /// Presses keys together, and lets them go.
    pub fn press(&self, keys: &[u32]) {
        let codes: Vec<u8> = keys.iter().map(|key| self.code(*key)).collect();
        for code in &codes {
            self.press_or_release(KEY_PRESS_EVENT, *code);
        }
        for code in codes.iter().rev() {
            self.press_or_release(KEY_RELEASE_EVENT, *code);
        }
        self.display.sync().unwrap();
    }

    /// Whether no program has Control, Alt and this key for itself.
    pub fn is_free(&self, key: u32) -> bool {
        let (modifiers, code) = (ModMask::CONTROL | ModMask::M1, self.code(key));
        let grab = self.display.grab_key(
            false,
            self.root,
            modifiers,
            code,
            GrabMode::ASYNC,
            GrabMode::ASYNC,
        );
        if grab.unwrap().check().is_err() {
            return false;
        }
        self.display.ungrab_key(code, self.root, modifiers).unwrap().check().unwrap();
        true
    }

    fn press_or_release(&self, kind: u8, code: u8) {
        let fake = self.display.xtest_fake_input(kind, code, CURRENT_TIME, self.root, 0, 0, 0);
        fake.unwrap().check().unwrap();
    }

    fn code(&self, key: u32) -> u8 {
        let setup = self.display.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let mapping =
            self.display.get_keyboard_mapping(first, last - first + 1).unwrap().reply().unwrap();
        let per_code = usize::from(mapping.keysyms_per_keycode);
        let index = mapping.keysyms.chunks(per_code).position(|keys| keys.contains(&key)).unwrap();
        first + u8::try_from(index).unwrap()
    }

    /// The shown window that says that files can be dropped on it.
    fn window_for_files(&self) -> Option<Window> {
        let tree = self.display.query_tree(self.root).ok()?.reply().ok()?;
        tree.children.into_iter().find(|window| {
            let is_shown = || {
                let attributes = self.display.get_window_attributes(*window).ok()?.reply().ok()?;
                Some(attributes.map_state == MapState::VIEWABLE)
            };
            let takes = || {
                let aware = self.names.XdndAware;
                let value =
                    self.display.get_property(false, *window, aware, AtomEnum::ATOM, 0, 1).ok()?;
                Some(value.reply().ok()?.value_len > 0)
            };
            is_shown() == Some(true) && takes() == Some(true)
        })
    }

    fn own_window(&self) -> Window {
        let window = self.display.generate_id().unwrap();
        let (class, nothing) = (WindowClass::INPUT_OUTPUT, CreateWindowAux::new());
        self.display
            .create_window(0, window, self.root, 0, 0, 1, 1, 0, class, 0, &nothing)
            .unwrap()
            .check()
            .unwrap();
        window
    }

    fn drag_to(&self, target: Window, source: Window, place: u32) {
        let position = place << 16 | place;
        let copy = self.names.XdndActionCopy;
        self.tell(target, self.names.XdndPosition, [source, 0, position, CURRENT_TIME, copy]);
    }

    fn tell(&self, window: Window, what: u32, data: [u32; 5]) {
        let message = ClientMessageEvent::new(32, window, what, data);
        self.display.send_event(false, window, EventMask::NO_EVENT, message).unwrap();
        self.display.flush().unwrap();
    }

    /// Answers who asks for what is dragged; whether they asked for the files.
    fn hand_over(&self, request: &SelectionRequestEvent, files: &str) -> bool {
        let is_asked = request.target == self.names.Files;
        if is_asked {
            let (mode, kind) = (PropMode::REPLACE, request.target);
            self.display
                .change_property8(mode, request.requestor, request.property, kind, files.as_bytes())
                .unwrap();
        }
        let reply = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: if is_asked { request.property } else { x11rb::NONE },
        };
        self.display.send_event(false, request.requestor, EventMask::NO_EVENT, reply).unwrap();
        self.display.flush().unwrap();
        is_asked
    }
}

/// A file as programs name it to each other.
fn address(path: &Path) -> String {
    let mut address = String::from("file://");
    for byte in path.to_str().unwrap().bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                address.push(char::from(byte));
            }
            _ => write!(address, "%{byte:02X}").unwrap(),
        }
    }
    address
}
