//! cbindgen's text, cut into items: a comment, a declaration, and the `#if` around it.

const WIDTH: usize = 120;

/// One declaration of the header.
pub struct Item {
    /// Its comment's lines, without the comment marks.
    pub doc: Vec<String>,
    /// The declaration's lines.
    pub code: Vec<String>,
    /// The `#if` line that guards it, or nothing.
    pub guard: String,
    /// The name that it declares.
    pub name: String,
}

/// Cuts the text between the header's frame into its items.
pub fn parse(text: &str) -> Vec<Item> {
    let mut lines = text.lines().peekable();
    let (mut items, mut doc, mut guard) = (Vec::new(), Vec::new(), String::new());
    while let Some(line) = lines.next() {
        match line.trim() {
            "" => {}
            "/*" => doc = comment(&mut lines),
            "#endif" => guard.clear(),
            _ if line.starts_with("#if") => guard = line.to_owned(),
            _ => {
                let code = declaration(line, &mut lines);
                let name = name_of(&code);
                items.push(Item { doc: std::mem::take(&mut doc), code, guard: guard.clone(), name });
            }
        }
    }
    items
}

/// The lines of a comment whose opening line is already read.
pub fn comment<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    let inside = lines.map(|line| line.trim_end().to_owned()).take_while(|line| line.trim_start() != "*/");
    let inside: Vec<String> = inside.collect();
    let indent = inside.iter().filter(|line| !line.is_empty()).map(|line| line.len() - line.trim_start().len()).min();
    inside.iter().map(|line| line.get(indent.unwrap_or(0)..).unwrap_or("").to_owned()).collect()
}

fn declaration<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut code = vec![first.to_owned()];
    let is_define = first.starts_with("#define");
    let opens = first.ends_with('{');
    while !is_define && !code.last().is_some_and(|line| line.ends_with(';') && (!opens || line.starts_with('}'))) {
        code.push(lines.next().expect("a declaration that ends").to_owned());
    }
    code
}

/// `#define NAME`, `typedef ... NAME;`, `} NAME;`, `(*NAME)(...)`, `NAME(...)`.
fn name_of(code: &[String]) -> String {
    let word = |text: &str| text.trim().rsplit([' ', '*']).next().unwrap_or("").to_owned();
    let last = code.last().map_or("", |line| line.trim_end_matches(';'));
    if let Some(define) = last.strip_prefix("#define ") {
        return define.split(' ').next().unwrap_or("").to_owned();
    }
    match last.split_once("(*") {
        Some((_, after)) if last.starts_with("typedef") => after.split(')').next().unwrap_or("").to_owned(),
        _ => word(last.split('(').next().unwrap_or("")),
    }
}

/// A comment as the header writes it: a star before each line but the first, its end on the last where that fits.
pub fn write_comment(doc: &[String], indent: &str) -> String {
    let body: Vec<String> = doc.iter().map(|line| format!("{indent} * {line}").trim_end().to_owned()).collect();
    let Some(last) = body.last() else { return String::new() };
    let end = if last.len() + " */".len() <= WIDTH { " */".to_owned() } else { format!("\n{indent} */") };
    format!("{indent}/*{}{end}\n", body.join("\n").trim_start_matches(indent).trim_start_matches(" *"))
}

/// One line of declaration, broken at its arguments so that it fits 120 columns.
pub fn wrap(line: &str) -> String {
    let Some(open) = (line.len() > WIDTH).then(|| line.rfind('(')).flatten() else { return line.to_owned() };
    let (head, arguments) = line.split_at(open + 1);
    let indent = " ".repeat(head.len());
    let (mut text, mut column) = (head.to_owned(), head.len());
    for (index, argument) in arguments.split(", ").enumerate() {
        let last = argument.ends_with(");");
        let width = argument.len() + if last { 0 } else { 1 };
        if index > 0 && column + 1 + width > WIDTH {
            text.push('\n');
            text.push_str(&indent);
            column = indent.len();
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(argument);
        text.push_str(if last { "" } else { "," });
        column += width;
    }
    text
}
