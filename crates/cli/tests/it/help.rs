//! What `--help` says, as committed text: a change of the command line shows in review.

use std::{collections::BTreeMap, fs, path::Path};

use crate::running::{Place, setting};

/// The help of every command, by file name; the walk goes by what each help itself lists, so that
/// no command escapes.
fn helps() -> BTreeMap<String, String> {
    let place = Place::new();
    let mut helps = BTreeMap::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
        args.push("--help");
        let help = place.run(&args).succeeded().stdout;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap();
            if name != "help" {
                open.push([&command[..], &[name.to_owned()]].concat());
            }
        }
        args.pop();
        args.insert(0, "meishi");
        helps.insert(format!("{}.txt", args.join("-")), help);
    }
    helps
}

#[test]
fn the_committed_help_is_current() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let helps = helps();
    if setting("UPDATE").as_deref() == Some("1") {
        // What is left of a command that is gone goes with it.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        for (name, help) in &helps {
            fs::write(directory.join(name), help).unwrap();
        }
    }
    let committed: BTreeMap<String, String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    let hint = "run `UPDATE=1 cargo test -p meishi --test it help` and look at what changed";
    assert_eq!(committed.keys().collect::<Vec<_>>(), helps.keys().collect::<Vec<_>>(), "{hint}");
    for (name, help) in &helps {
        assert_eq!(&committed[name], help, "{name}: {hint}");
    }
}
