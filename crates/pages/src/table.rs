//! Tables, whose rows are cards where there is little room.

use maud::{Markup, html};

/// The column in which stands what can be done.
pub(crate) const ACTIONS: &str = "";

/// A table with these columns. The first cell of a row says what the row is about. What it is made of is said to
/// those who listen by its roles, which the stylesheet would take from its elements.
pub(crate) fn table(columns: &[&str], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    html! {
        table.rows role="table" {
            thead role="rowgroup" {
                tr role="row" {
                    @for column in columns {
                        th role="columnheader" scope="col" {
                            @if *column == ACTIONS { span.hidden { "Actions" } } @else { (column) }
                        }
                    }
                }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (index, (cell, column)) in row.iter().zip(columns).enumerate() {
                            @if index == 0 { th role="rowheader" scope="row" { (cell) } }
                            @else if *column == ACTIONS { td role="cell" { (cell) } }
                            @else { td role="cell" data-label=(column) { div { (cell) } } }
                        }
                    }
                }
            }
        }
    }
}
