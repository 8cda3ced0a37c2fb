//! Charts and diagrams that Office documents of all kinds contain.

use roxmltree::{Document, Node};

use crate::compose::table_text;
use crate::xml::{child, name, texts};

/// The figures that a chart shows, as rows: the series' names, then each category's values.
pub(crate) fn chart_table(chart: &Document<'_>) -> String {
    let values = |node: Option<Node<'_, '_>>| -> Vec<String> {
        let points = node.into_iter().flat_map(|node| node.descendants());
        points
            .filter(|node| name(*node) == "v")
            .map(|node| node.text().unwrap_or_default().trim().to_owned())
            .collect()
    };
    let title = chart.descendants().find(|node| name(*node) == "title");
    let title = title.map(|title| texts(title, "t")).unwrap_or_default();
    let series: Vec<_> = chart.descendants().filter(|node| name(*node) == "ser").collect();
    let part = |series: &Node<'_, '_>, keys: [&str; 2]| {
        values(keys.iter().find_map(|key| child(*series, key)))
    };
    let names: Vec<String> =
        series.iter().map(|series| part(series, ["tx", "tx"]).join(" ")).collect();
    let categories = series.first().map(|series| part(series, ["cat", "xVal"])).unwrap_or_default();
    let columns: Vec<_> = series.iter().map(|series| part(series, ["val", "yVal"])).collect();
    // People ask for "the pie chart", which stands nowhere in it.
    let kind = chart.descendants().find_map(|node| name(node).strip_suffix("Chart"));
    let kind = kind.map(|kind| format!("({} chart)", kind.trim_end_matches("3D")));
    let mut rows = vec![vec![format!("{title} {}", kind.unwrap_or_default())]];
    rows.push(std::iter::once(String::new()).chain(names).collect());
    let length = columns.iter().map(Vec::len).max().unwrap_or(0);
    for row in 0..length {
        let cells = std::iter::once(&categories).chain(&columns);
        rows.push(cells.map(|column| column.get(row).cloned().unwrap_or_default()).collect());
    }
    table_text(&rows)
}
