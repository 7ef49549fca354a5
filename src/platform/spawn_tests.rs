use super::*;
use crate::platform::{Exit, Orphan, Step, candidates, close_file, open_terminal, pipe};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

fn texts(texts: &[&str]) -> Vec<CString> {
    texts.iter().map(|text| CString::new(*text).unwrap()).collect()
}

fn shell(script: &str) -> Command {
    let arguments = texts(&["sh", "-c", script]);
    Command {
        candidates: texts(&["/bin/sh"]),
        arguments,
        descriptors: vec![(0, 0), (1, 1), (2, 2)],
        ..Command::default()
    }
}

fn end_of(child: &Child) -> Exit {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if let Some(exit) = child.wait_at_most(1000) {
            return exit;
        }
    }
    panic!("it does not end");
}

/// What the command writes to its descriptor 1, and how it ends.
fn output_of(mut command: Command) -> (String, Exit) {
    let (read, write) = pipe().unwrap();
    command.descriptors.retain(|(theirs, _)| *theirs != 1);
    command.descriptors.push((1, write));
    let child = spawn(&command).unwrap();
    close_file(write);
    let mut text = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        // SAFETY: room for as many bytes as are asked for.
        let length = unsafe { libc::read(read, buffer.as_mut_ptr().cast(), buffer.len()) };
        assert!(length >= 0);
        if length == 0 {
            break;
        }
        text.extend_from_slice(&buffer[..length as usize]);
    }
    close_file(read);
    (String::from_utf8(text).unwrap(), end_of(&child))
}

/// Both ways of starting a child.
fn both_ways(command: Command) -> [(Command, bool); 2] {
    let group = Some(unsafe_group());
    let copy = Command {
        candidates: command.candidates.clone(),
        arguments: command.arguments.clone(),
        environment: command.environment.clone(),
        directory: command.directory.clone(),
        descriptors: command.descriptors.clone(),
        group,
        ..Command::default()
    };
    [(command, false), (copy, true)]
}

/// Becoming what one is asks for the other way.
fn unsafe_group() -> u32 {
    // SAFETY: takes no pointers, and cannot fail.
    unsafe { libc::getegid() }
}

#[test]
fn it_ends_with_its_code_or_its_signal() {
    for (command, _) in both_ways(shell("exit 7")) {
        assert_eq!(end_of(&spawn(&command).unwrap()), Exit::Code(7));
    }
    for (command, _) in both_ways(shell("kill -9 $$")) {
        assert_eq!(end_of(&spawn(&command).unwrap()), Exit::Signal(9, false));
    }
}

#[test]
fn what_is_not_there_is_an_error_at_once_that_leaves_nothing() {
    let missing =
        Command { candidates: texts(&["/no/such/program"]), arguments: texts(&["program"]), ..Command::default() };
    for (command, _) in both_ways(missing) {
        let error = spawn(&command).unwrap_err();
        assert_eq!((error.step, error.error.raw_os_error()), (Step::Program, Some(libc::ENOENT)));
    }
    let folder = Command { candidates: texts(&["/etc"]), arguments: texts(&["etc"]), ..Command::default() };
    for (command, _) in both_ways(folder) {
        let error = spawn(&command).unwrap_err();
        assert_eq!((error.step, error.error.raw_os_error()), (Step::Program, Some(libc::EACCES)));
    }
    let elsewhere = Command { directory: Some(c"/no/such/directory".to_owned()), ..shell("true") };
    for (command, _) in both_ways(elsewhere) {
        let error = spawn(&command).unwrap_err();
        assert_eq!((error.step, error.error.raw_os_error()), (Step::Directory, Some(libc::ENOENT)));
    }
    let closed = Command { descriptors: vec![(0, 0), (5, 999_999)], ..shell("true") };
    for (command, _) in both_ways(closed) {
        let error = spawn(&command).unwrap_err();
        assert_eq!(
            (error.step, error.descriptor, error.error.raw_os_error()),
            (Step::Descriptor, 5, Some(libc::EBADF))
        );
    }
}

#[test]
fn a_program_is_searched_for() {
    let found = candidates(b"sh", Some(b"/no/such::/bin")).unwrap();
    assert_eq!(found, texts(&["/no/such/sh", "./sh", "/bin/sh"]));
    assert_eq!(candidates(b"./sh", Some(b"/bin")).unwrap(), texts(&["./sh"]));
    assert_eq!(candidates(b"sh", None).unwrap(), texts(&["sh"]));
    assert!(candidates(b"s\0h", None).is_err());
    let command = Command { candidates: found, ..shell("exit 3") };
    assert_eq!(end_of(&spawn(&command).unwrap()), Exit::Code(3));
    // One that is there but no program does not hide one that is.
    let command = Command { candidates: texts(&["/etc", "/etc/passwd", "/bin/sh"]), ..shell("exit 4") };
    assert_eq!(end_of(&spawn(&command).unwrap()), Exit::Code(4));
    let command = Command { candidates: texts(&["/etc", "/no/such"]), ..shell("exit 4") };
    assert_eq!(spawn(&command).unwrap_err().error.raw_os_error(), Some(libc::EACCES));
}

#[test]
fn environment_and_directory_are_its_own() {
    let environment = Some(texts(&["A=1", "PATH=/bin:/usr/bin"]));
    for (mut command, _) in both_ways(shell("echo $A-$B-$(pwd)")) {
        command.environment = environment.clone();
        command.directory = Some(c"/usr".to_owned());
        assert_eq!(output_of(command), ("1--/usr\n".to_owned(), Exit::Code(0)));
    }
}

#[test]
fn descriptors_are_placed_and_all_others_are_closed() {
    // Several that want each other's places.
    let files = ["/etc/passwd", "/etc/group", "/etc/hostname"].map(|path| std::fs::File::open(path).unwrap());
    let [one, two, three] = files.each_ref().map(|file| file.as_raw_fd());
    // SAFETY: takes no pointers; this one is not closed in other programs.
    let leaks = unsafe { libc::dup(one) };
    let names = "for n in 3 4 5 6 7 8 9; do readlink /proc/$$/fd/$n || echo -; done; ls /proc/$$/fd; true";
    for (mut command, _) in both_ways(shell(names)) {
        command.descriptors = vec![(0, 0), (2, 2), (two, one), (one, two), (three, three)];
        let mut want = String::new();
        for number in 3..10 {
            let name = match number {
                _ if number == two => "/etc/passwd\n",
                _ if number == one => "/etc/group\n",
                _ if number == three => "/etc/hostname\n",
                _ => "-\n",
            };
            want.push_str(name);
        }
        let mut numbers = [0, 1, 2, one, two, three].map(|number| format!("{number}\n"));
        numbers.sort_unstable();
        let (text, exit) = output_of(command);
        assert_eq!(exit, Exit::Code(0));
        assert_eq!(text, want + &numbers.concat());
    }
    close_file(leaks);
}

#[test]
fn signals_are_the_default_ones_and_come_through() {
    // SAFETY: ignores a signal that nobody here waits for, and has it back.
    let before = unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
    for (command, _) in both_ways(shell("kill -USR2 $$; sleep 20")) {
        assert_eq!(end_of(&spawn(&command).unwrap()), Exit::Signal(libc::SIGUSR2, false));
    }
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGUSR2, before) };
}

#[test]
fn sessions_groups_and_terminals() {
    let ids =
        "read pid comm state parent group session rest < /proc/self/stat; echo $((pid == group)) $((pid == session))";
    // The shell's own.
    let script = ids.replace("/proc/self", "/proc/$$");
    assert_eq!(output_of(shell(&script)).0, "0 0\n");
    assert_eq!(output_of(Command { new_group: true, ..shell(&script) }).0, "1 0\n");
    assert_eq!(output_of(Command { new_session: true, ..shell(&script) }).0, "1 1\n");
    let (master, slave) = open_terminal(99, 33).unwrap();
    let mut command = Command { new_session: true, takes_terminal: true, ..shell("stty size < /dev/tty") };
    command.descriptors = vec![(0, slave), (1, 1), (2, 2)];
    assert_eq!(output_of(command), ("33 99\n".to_owned(), Exit::Code(0)));
    close_file(slave);
    close_file(master);
    let error = spawn(&Command { takes_terminal: true, new_session: true, descriptors: vec![], ..shell("true") });
    assert_eq!(error.unwrap_err().step, Step::Terminal);
}

#[test]
fn a_child_that_somebody_else_has_waited_for() {
    let child = spawn(&shell("exit 5")).unwrap();
    let mut status = 0;
    // SAFETY: writes the status to the place given.
    assert_eq!(unsafe { libc::waitpid(child.id(), &mut status, 0) }, child.id());
    // The kernel may remember it all the same.
    let exit = child.try_wait().unwrap();
    assert!(matches!(exit, Exit::Unknown | Exit::Code(5)), "{exit:?}");
    assert!(child.signal(0).is_err());
}

#[test]
fn an_orphan_is_waited_for_once_and_never_another() {
    let (read, write) = pipe().unwrap();
    let mut command = shell("read line");
    command.descriptors = vec![(0, read)];
    let child = spawn(&command).unwrap();
    close_file(read);
    let orphan = Orphan::new(&child);
    assert!(!orphan.is_over());
    close_file(write);
    while !child.has_ended() {
        std::thread::yield_now();
    }
    assert!(orphan.is_over());
    let other = child.try_wait().unwrap();
    assert!(matches!(other, Exit::Unknown | Exit::Code(1)), "{other:?}");
    assert!(orphan.is_over());
}

#[test]
fn signals_reach_a_whole_group() {
    let (read, write) = pipe().unwrap();
    let mut command = shell("sleep 100 & echo; wait");
    command.new_group = true;
    command.descriptors = vec![(0, 0), (1, write), (2, 2)];
    let child = spawn(&command).unwrap();
    close_file(write);
    let mut byte = 0_u8;
    // SAFETY: room for the byte that is asked for.
    assert_eq!(unsafe { libc::read(read, (&raw mut byte).cast(), 1) }, 1);
    child.signal_group(libc::SIGKILL, true).unwrap();
    assert_eq!(end_of(&child), Exit::Signal(libc::SIGKILL, false));
    // Its child had the pipe, too.
    // SAFETY: as above.
    assert_eq!(unsafe { libc::read(read, (&raw mut byte).cast(), 1) }, 0);
    close_file(read);
}
