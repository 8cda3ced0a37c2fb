//! The real window, with real parts: WebKit under Xvfb, driven as a person would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]
#![cfg(target_os = "linux")]

mod desktop;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use desktop::{ALT, CONTROL, Desktop};
use lectern_tests::{CHAT_MODEL, Library, program, repository, wait_for};
use serde_json::{Value, json};

/// A display, a session bus and WebKit's driver, all ended together.
struct Driver {
    group: Child,
    /// The display and the bus, as programs find them.
    session: Vec<(String, String)>,
    address: String,
    http: ureq::Agent,
    library: PathBuf,
}

impl Driver {
    fn start(library: &Library) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let inside = format!(
            "printenv DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS; exec WebKitWebDriver --port={port}"
        );
        let mut group = Command::new("dbus-run-session")
            .args(["--", "xvfb-run", "-a", "-s", "-screen 0 1280x860x24 -ac"])
            .args(["bash", "-c", &inside])
            .env("WEBKIT_DISABLE_COMPOSITING_MODE", "1")
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            // Without it WebKit's driver waits for the window for ever.
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            // What the window keeps of itself is not shared with the person's own.
            .env("XDG_CONFIG_HOME", library.path().join("config"))
            .env("XDG_DATA_HOME", library.path().join("data"))
            .env("LECTERN_LIBRARY", library.path())
            .env("LECTERN_CHAT_MODEL", CHAT_MODEL)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("dbus-run-session, xvfb-run and WebKitWebDriver are installed by `make test`");
        // Longer than the driver ever takes, so that a hanging window is a failure.
        let http = ureq::AgentBuilder::new().timeout(Duration::from_secs(120)).build();
        let said = BufReader::new(group.stdout.take().unwrap()).lines().map_while(Result::ok);
        let names = ["DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"].map(str::to_owned);
        let session = names.into_iter().zip(said).collect();
        let address = format!("http://127.0.0.1:{port}");
        let driver = Self { group, session, address, http, library: library.path() };
        wait_for("WebKitWebDriver", || {
            driver.http.get(&format!("{}/status", driver.address)).call().ok()
        });
        driver
    }

    /// Starts the program once more, beside the one that runs, and waits until it has ended.
    fn start_again(&self, library: &Library, arguments: &[&str]) {
        let mut second = Command::new(program("lectern-desktop"));
        second
            .args(arguments)
            .envs(self.session.clone())
            .env("XDG_CONFIG_HOME", library.path().join("config"))
            .env("XDG_DATA_HOME", library.path().join("data"))
            .env("LECTERN_LIBRARY", library.path());
        assert!(second.status().unwrap().success());
    }

    /// Whether the program runs on the library.
    fn is_running(&self) -> bool {
        let library = format!("LECTERN_LIBRARY={}", self.library.display());
        let program = program("lectern-desktop").to_string_lossy().into_owned();
        std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|process| {
            let reads = |file: &str| std::fs::read(process.path().join(file)).unwrap_or_default();
            let is_ours =
                reads("environ").split(|byte| *byte == 0).any(|word| word == library.as_bytes());
            is_ours && reads("cmdline").starts_with(program.as_bytes())
        })
    }

    /// The hands of a person on the display.
    fn desktop(&self) -> Desktop {
        let (_, display) = &self.session[0];
        Desktop::connect(display)
    }

    /// Opens the window, once no program runs on the library: one that is just ending would be told to
    /// show its window instead.
    fn open(&self) -> Window<'_> {
        wait_for("the program to end", || (!self.is_running()).then_some(()));
        let options = json!({"binary": program("lectern-desktop"), "args": []});
        let reply: Value = self
            .http
            .post(&format!("{}/session", self.address))
            .send_json(
                json!({"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}),
            )
            .unwrap_or_else(|error| panic!("the window does not open: {error}"))
            .into_json()
            .unwrap();
        let id = reply["value"]["sessionId"].as_str().unwrap();
        Window { driver: self, session: format!("{}/session/{id}", self.address) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The whole group: a session bus and a display outlive their parent.
        let _ =
            Command::new("kill").args(["-KILL", "--", &format!("-{}", self.group.id())]).status();
        let _ = self.group.wait();
        if std::thread::panicking()
            && let Some(errors) = self.group.stderr.take()
        {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                eprintln!("{line}");
            }
        }
    }
}

struct Window<'a> {
    driver: &'a Driver,
    session: String,
}

impl Window<'_> {
    /// Runs a function's body in the page; promises are awaited.
    fn run(&self, body: &str, arguments: &[Value]) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async (...arguments) => {{ {body} }})(...arguments)
                 .then((value) => done([value ?? null]), (error) => done({{ error: JSON.stringify(error) + error }}));"
        );
        let reply: Value = self
            .driver
            .http
            .post(&format!("{}/execute/async", self.session))
            .send_json(json!({"script": script, "args": arguments}))
            .unwrap_or_else(|error| panic!("{body}: {error}"))
            .into_json()
            .unwrap();
        assert!(reply["value"].is_array(), "{body}: {}", reply["value"]);
        reply["value"][0].clone()
    }

    /// The text of the first element that `selector` finds, once there is one.
    fn text_of(&self, selector: &str) -> String {
        wait_for(selector, || {
            let text = self.run(
                "return document.querySelector(arguments[0])?.textContent",
                &[json!(selector)],
            );
            text.as_str().map(str::to_owned)
        })
    }

    fn click(&self, selector: &str) {
        wait_for(selector, || {
            let clicked = self.run(
                "const e = document.querySelector(arguments[0]); if (!e || e.disabled) return false; e.click(); return true",
                &[json!(selector)],
            );
            clicked.as_bool().filter(|clicked| *clicked)
        });
    }

    /// Types into a field, key by key, as WebKit does for a person.
    fn type_into(&self, selector: &str, text: &str) {
        let element: Value = wait_for(selector, || {
            self.driver
                .http
                .post(&format!("{}/element", self.session))
                .send_json(json!({"using": "css selector", "value": selector}))
                .ok()?
                .into_json()
                .ok()
        });
        let id = element["value"].as_object().unwrap().values().next().unwrap().as_str().unwrap();
        self.driver
            .http
            .post(&format!("{}/element/{id}/value", self.session))
            .send_json(json!({"text": text}))
            .unwrap();
    }

    fn invoke(&self, command: &str, arguments: &Value) -> Value {
        self.run(
            "return window.__TAURI_INTERNALS__.invoke(arguments[0], arguments[1])",
            &[json!(command), arguments.clone()],
        )
    }

    /// Waits until the window is shown, or hidden.
    fn wait_until_shown(&self, shown: bool) {
        wait_for(if shown { "the window to be shown" } else { "the window to be hidden" }, || {
            let state = self.run("return document.visibilityState", &[]);
            (state == if shown { "visible" } else { "hidden" }).then_some(())
        });
    }

    /// Has the program end itself, and waits until it has.
    fn quit(self) {
        self.invoke("set_language", &json!({"language": "zh"}));
        self.end_by("quit");
    }

    /// Has a command end the program, and waits until it has.
    fn end_by(self, command: &str) {
        // It may be gone before it answers.
        let script = format!("window.__TAURI_INTERNALS__.invoke('{command}')");
        let _ = self
            .driver
            .http
            .post(&format!("{}/execute/sync", self.session))
            .send_json(json!({"script": script, "args": []}));
        wait_for("the program to end", || {
            self.driver.http.get(&format!("{}/title", self.session)).call().is_err().then_some(())
        });
        let _ = self.driver.http.delete(&self.session).call();
    }

    fn close(self) {
        self.driver.http.delete(&self.session).call().unwrap();
    }
}

/// Two windows would be one: a second start only brings the first to the front.
static ONE_WINDOW: Mutex<()> = Mutex::new(());

/// Waits until the program has read all, by words and by meaning.
fn has_read_all(library: &Library) {
    library.wait_for("the window to read", |status| {
        status["documents"].as_u64() > Some(0)
            && status["pending"] == 0
            && status["chunks"] == status["embedded_chunks"]
    });
}

/// What a person does who sees the window for the first time, and has nothing at hand.
#[test]
fn the_first_start_leads_over_the_samples_to_an_answer() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let driver = Driver::start(&library);
    let window = driver.open();
    window.click("[data-testid=welcome] .samples");
    // Its questions are offered when there is something to answer them from.
    window.click("[data-testid=sample-questions] li button");
    let answer = window.text_of("[data-testid=answer][data-state=done]");
    assert!(!answer.trim().is_empty());
    assert!(window.text_of("[data-testid=passages]").contains("passage"));
    has_read_all(&library);
    // A search finds with every key.
    window.click("nav button:nth-child(2)");
    window.type_into("[data-testid=search]", "stopcock");
    // What its beginning finds comes first.
    wait_for("the whole word to be found", || {
        window.text_of("[data-testid=hit] mark").eq_ignore_ascii_case("stopcock").then_some(())
    });
    window.close();
}

#[test]
fn a_dropped_folder_is_asked_about_and_all_is_there_after_a_restart() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let folder = library.folder(&[
        ("lighthouse.md", "# The lighthouse\n\nThe lamp of the lighthouse is green. It was lit in 1887.\n\n## Keeper\n\nThe keeper is called Amina Sørensen.\n"),
        ("a name with spaces/灯塔.md", "# 灯塔\n\n灯塔的灯是绿色的。\n"),
        ("heron.md", "# Birds\n\nThe heron of the pond is called Edmund.\n"),
    ]);
    let driver = Driver::start(&library);
    let window = driver.open();
    window.text_of("[data-testid=welcome]");

    driver.desktop().drop_files(&[folder.join("a name with spaces"), folder.clone()]);
    assert!(window.text_of("[data-testid=folder]").contains("documents"));
    assert!(window.text_of("[role=status]").contains("3 files added"));
    has_read_all(&library);

    let composer = "[data-testid=composer] textarea";
    window.type_into(composer, "Which colour is the lamp of the lighthouse?");
    window.click("[data-testid=send]");
    // While the model is loaded for the first time.
    window.click("[data-testid=stop]");
    window.text_of("[data-testid=answer][data-state=cancelled]");
    // Every state of the answer's text is seen, to show that it streams.
    window.run(
        "window.seen = new Set();
         new MutationObserver(() => {
             const answer = [...document.querySelectorAll('[data-testid=answer]')].at(-1);
             if (answer) window.seen.add(answer.textContent);
         }).observe(document.body, {subtree: true, childList: true, characterData: true});",
        &[],
    );
    window.click("[data-testid=again]");
    let answer = window.text_of("[data-testid=answer][data-state=done]");
    assert!(!answer.trim().is_empty());
    let states = window.run("return window.seen.size", &[]);
    assert!(states.as_u64().unwrap() > 2, "the answer came in {states} pieces: {answer}");

    window.click("[data-testid^=citation-]");
    let quote = window.text_of("[data-testid=highlight]");
    let stored = std::fs::read_to_string(folder.join("lighthouse.md")).unwrap()
        + &std::fs::read_to_string(folder.join("heron.md")).unwrap()
        + &std::fs::read_to_string(folder.join("a name with spaces/灯塔.md")).unwrap();
    assert!(stored.contains(quote.trim()), "{quote:?} in answer {answer:?}");
    window.close();

    // The next start still knows the folder, the conversation and its answers.
    let window = driver.open();
    assert!(window.text_of("[data-testid=folder]").contains("documents"));
    window.click("button[title^='Which colour is the lamp']");
    assert_eq!(window.text_of("[data-testid=answer][data-state=done]"), answer);

    // What is deleted on the disk leaves the list and the answers, without being asked.
    window.click("nav button:nth-child(3)");
    let shown = |name: &str| {
        let listed = window.run(
            "return [...document.querySelectorAll('[data-testid=files] tbody .name')].some((e) => e.textContent.trim() === arguments[0])",
            &[json!(name)],
        );
        listed == json!(true)
    };
    wait_for("the list of files", || shown("heron.md").then_some(()));
    std::fs::remove_file(folder.join("lighthouse.md")).unwrap();
    wait_for("the file to leave the list", || (!shown("lighthouse.md")).then_some(()));
    assert!(shown("heron.md"));
    window.click("button[title^='Which colour is the lamp']");
    assert!(window.text_of("[data-testid=stale]").contains("changed since"));
    let asked = |window: &Window<'_>| {
        let conversations = window.invoke("conversations", &json!({}));
        let id = conversations[0]["id"].clone();
        window.invoke("conversation", &json!({"id": id}))["answers"].clone()
    };
    let before = asked(&window).as_array().unwrap().len();
    window.type_into(composer, "Which colour is the lamp of the lighthouse?");
    window.click("[data-testid=send]");
    let answers = wait_for("the next answer", || {
        let answers = asked(&window);
        (answers.as_array()?.len() > before).then_some(answers)
    });
    let last = &answers[before];
    assert!(!last["passages"].as_array().unwrap().is_empty());
    assert!(!last["passages"].to_string().contains("lighthouse.md"), "{last}");
    assert!(!last["citations"].to_string().contains("lighthouse.md"), "{last}");
    window.close();
}

/// The words of the page that the marks cover: every character of the text that pdf.js lays over the
/// page whose middle is in one of them.
const WORDS_UNDER_MARKS: &str = "
    const marks = [...document.querySelectorAll('[data-testid=highlight-rect]')].map((mark) => mark.getBoundingClientRect());
    const range = document.createRange();
    let words = '';
    for (const layer of document.querySelectorAll('.textLayer')) {
        const texts = document.createTreeWalker(layer, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
            const text = texts.currentNode;
            for (let at = 0; at < text.length; at++) {
                range.setStart(text, at);
                range.setEnd(text, at + 1);
                const { left, top, width, height } = range.getBoundingClientRect();
                const [x, y] = [left + width / 2, top + height / 2];
                if (marks.some((m) => x > m.left && x < m.right && y > m.top && y < m.bottom)) words += text.data[at];
            }
        }
    }
    return words;";

#[test]
fn a_citation_opens_its_page_with_the_very_words_marked() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let folder = library.folder(&[]);
    let manual = repository().join("samples/workshop/tl-40-service-manual.pdf");
    std::fs::copy(manual, folder.join("manual.pdf")).unwrap();
    let driver = Driver::start(&library);
    let window = driver.open();
    window.text_of("[data-testid=welcome]");
    driver.desktop().drop_files(std::slice::from_ref(&folder));
    has_read_all(&library);

    // So small a model answers some of them only.
    let questions = ["What is the rated flow of the TL-40?", "Who makes the TL-40?"];
    let answers = questions.map(|question| {
        window.click("[data-testid=new]");
        window.type_into("[data-testid=composer] textarea", question);
        window.click("[data-testid=send]");
        window.text_of("[data-testid=answer][data-state=done]");
        let id = window.invoke("conversations", &json!({}))[0]["id"].clone();
        let answer = window.invoke("conversation", &json!({"id": id}))["answers"][0].clone();
        assert_eq!(answer["question"], question);
        answer
    });
    let cited = answers.iter().find(|answer| answer["citations"] != json!([]));
    let answer = cited.unwrap_or_else(|| panic!("nothing is cited in {answers:?}"));
    window.click(&format!("button[title='{}']", answer["question"].as_str().unwrap()));
    let citations = answer["citations"].as_array().unwrap();
    // Between the cells of a table the text has lines that the page has not.
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    for citation in citations {
        window.click(&format!("[data-testid=citation-{}]", citation["n"]));
        let page = citation["page"].to_string();
        wait_for("the page", || {
            let shown =
                window.run("return document.querySelector('[data-testid=page-field]')?.value", &[]);
            (shown == json!(page)).then_some(())
        });
        window.text_of(&format!("[data-page='{page}'] [data-testid=pdf-canvas][data-drawn=true]"));
        // The marks of the citation before give way to those of this one.
        wait_for("the words under the marks", || {
            let words = window.run(WORDS_UNDER_MARKS, &[]);
            let quote = citation["quote"].as_str()?;
            (letters(words.as_str()?) == letters(quote)).then_some(())
        });
    }
    // Its small page says that it is there.
    window.click("[data-testid=show-strip]");
    let cited = window.text_of("[data-testid=strip] button:has(.cited) .number");
    assert_eq!(cited, citations.last().unwrap()["page"].to_string());
    window.close();
}

#[test]
fn chosen_keys_bring_the_window_and_are_given_back() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    const L: u32 = 'l' as u32;
    let library = Library::new();
    let driver = Driver::start(&library);
    let desktop = driver.desktop();
    let window = driver.open();
    window.text_of("[data-testid=welcome]");
    assert_eq!(window.invoke("desktop", &json!({}))["shortcut"], true);
    let set = |window: &Window<'_>, keys: &str| {
        let settings = json!({"keep_watching": true, "notify": false, "shortcut": keys});
        window.invoke("set_desktop_settings", &json!({"settings": settings}));
    };
    let bring = |window: &Window<'_>| {
        window.invoke("close_window", &json!({}));
        window.wait_until_shown(false);
        desktop.press(&[CONTROL, ALT, L]);
        window.wait_until_shown(true);
    };
    // By default none are taken.
    assert!(desktop.is_free(L));
    set(&window, "Control+Alt+KeyL");
    assert!(!desktop.is_free(L));
    bring(&window);
    window.quit();

    let window = driver.open();
    wait_for("the keys to be taken again", || (!desktop.is_free(L)).then_some(()));
    bring(&window);
    set(&window, "");
    assert!(desktop.is_free(L));
    window.quit();
}

#[test]
fn a_file_is_opened_with_the_program_that_runs() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let folder = library.folder(&[("heron.md", "A heron stands in the reeds.")]);
    let driver = Driver::start(&library);
    let window = driver.open();
    window.text_of("[data-testid=welcome]");
    driver.start_again(&library, &[&format!("file://{}/heron.md", folder.display())]);
    assert!(window.text_of("[role=status]").contains("1 file added"));
    has_read_all(&library);
    window.quit();
}

/// How many dark pixels of the page each mark covers.
const INK_UNDER_MARKS: &str = "
    return [...document.querySelectorAll('[data-testid=highlight-rect]')].map((mark) => {
        const canvas = mark.parentElement.querySelector('canvas');
        const density = canvas.width / canvas.clientWidth;
        const [x, y, width, height] = [mark.offsetLeft, mark.offsetTop, mark.offsetWidth, mark.offsetHeight]
            .map((length) => Math.round(length * density));
        const { data } = canvas.getContext('2d').getImageData(x, y, width, height);
        let ink = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] < 128) ink++;
        return ink;
    });";

#[test]
fn a_hit_in_a_pdf_opens_its_page_with_the_words_marked() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let folder = library.folder(&[]);
    std::fs::copy(
        repository().join("samples/workshop/tl-40-service-manual.pdf"),
        folder.join("manual.pdf"),
    )
    .unwrap();
    let driver = Driver::start(&library);
    let window = driver.open();
    window.run(
        "return window.__TAURI_INTERNALS__.invoke('add_paths', {paths: arguments[0]})",
        &[json!([folder])],
    );
    library.wait_for("the window to read the manual", |status| status["documents"] == 1);

    window.click("nav button:nth-child(2)");
    window.type_into("[data-testid=search]", "diaphragm");
    window.click("[data-testid=hit]");
    // The page is painted in a worker that the window's own address serves, from bytes that a
    // command gives.
    window.text_of("[data-testid=pdf-canvas][data-drawn=true]");
    window.text_of("[data-testid=highlight-rect]");
    let ink = window.run(INK_UNDER_MARKS, &[]);
    let ink: Vec<u64> = ink.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert!(!ink.is_empty() && ink.iter().all(|pixels| *pixels > 20), "{ink:?}");

    // A file that is not in the library is not given to the page.
    let refused = window.run(
        "try { await window.__TAURI_INTERNALS__.invoke('document_bytes', {path: '/etc/passwd', start: 0, length: 9}) }
         catch (error) { return error.code }",
        &[],
    );
    assert_eq!(refused, "not_found");
    window.close();
}

#[test]
fn the_window_comes_back_as_it_was_and_ends_when_it_is_told_to() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let kept = library.path().join("config/app.lectern.desktop/.window-state.json");
    let state = json!({"main": {
        "width": 910, "height": 640, "x": 20, "y": 30, "prev_x": 20, "prev_y": 30,
        "maximized": false, "visible": true, "decorated": true, "fullscreen": false
    }});
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, state.to_string()).unwrap();
    let driver = Driver::start(&library);
    let window = driver.open();
    window.text_of("[data-testid=welcome]");
    wait_for("the window's size", || {
        (window.run("return [innerWidth, innerHeight]", &[]) == json!([910, 640])).then_some(())
    });
    // With an icon in the tray, or without where the desktop has none.
    let settings = json!({"settings": {"keep_watching": true, "notify": false, "shortcut": ""}});
    window.invoke("set_desktop_settings", &settings);
    window.quit();

    let window = driver.open();
    assert_eq!(window.invoke("desktop_settings", &json!({})), settings["settings"]);
    let size = window.run("return [innerWidth, innerHeight]", &[]);
    assert_eq!(size, json!([910, 640]));
    window.quit();
}

#[test]
fn closing_the_window_hides_it_only_where_folders_are_watched_on() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let driver = Driver::start(&library);
    let window = driver.open();
    window.text_of("[data-testid=welcome]");
    window.end_by("close_window");

    let window = driver.open();
    window.text_of("[data-testid=welcome]");
    let settings = json!({"settings": {"keep_watching": true, "notify": false}});
    window.invoke("set_desktop_settings", &settings);
    window.wait_until_shown(true);
    window.invoke("close_window", &json!({}));
    window.wait_until_shown(false);
    // It still follows the disk.
    let folder = library.folder(&[("heron.md", "A heron stands in the reeds.")]);
    window.invoke("add_paths", &json!({"paths": [folder]}));
    library.wait_for("the hidden window to read", |status| status["documents"] == 1);
    driver.start_again(&library, &[]);
    window.wait_until_shown(true);
    window.quit();
}

#[test]
fn a_link_opens_its_passage_in_the_window_that_is_there() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let folder = library.folder(&[("heron.md", "A heron stands in the reeds. It waits.")]);
    let driver = Driver::start(&library);
    let window = driver.open();
    window.invoke("add_paths", &json!({"paths": [folder]}));
    library.wait_for("the window to read", |status| status["documents"] == 1);
    let document = folder.join("heron.md");
    let source = window.invoke("source", &json!({"path": document}));
    let content = source["content"].as_str().unwrap();
    let link =
        format!("lectern://open?document={}&start=29&end=38&content={content}", document.display());
    driver.start_again(&library, &[&link]);
    assert_eq!(window.text_of("[data-testid=highlight]"), "It waits.");
    // What is not in the library is not opened, whatever a link says.
    driver.start_again(&library, &["lectern://open?document=/etc/passwd"]);
    assert!(window.text_of("[role=alert]").contains("/etc/passwd"));
    assert_eq!(window.text_of("[data-testid=highlight]"), "It waits.");
    window.quit();
}

#[test]
fn it_starts_with_the_session_only_where_that_is_wanted() {
    let _window = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
    let library = Library::new();
    let driver = Driver::start(&library);
    let window = driver.open();
    window.text_of("[data-testid=welcome]");
    let file = library.path().join("config/autostart/app.lectern.desktop");
    for on in [true, false] {
        assert_eq!(window.invoke("desktop", &json!({}))["autostart"], !on);
        window.invoke("set_autostart", &json!({"on": on}));
        assert_eq!(file.exists(), on);
        if on {
            let entry = std::fs::read_to_string(&file).unwrap();
            let program = program("lectern-desktop").canonicalize().unwrap();
            assert!(entry.contains(&format!("Exec=\"{}\" ", program.display())), "{entry}");
        }
    }
    window.quit();
}
