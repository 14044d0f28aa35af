//! Plots as SVG. Colours are placeholders that the page's style sheet turns into those of the light or the dark theme.

use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

/// Size in pixels; the page scales it to the width of its column.
const SIZE: (u32, u32) = (440, 240);
/// Placeholders; `style.css` maps them.
const TEXT: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const AXIS: RGBColor = RGBColor(3, 3, 3);
const WINDOW: RGBColor = RGBColor(4, 4, 4);
const CAPACITY: RGBColor = RGBColor(5, 5, 5);
/// Series colours; the n-th is `#0a0a0a` plus n.
const SERIES: u8 = 10;
/// Series that have a colour of their own in the style sheet.
pub const COLOURS: usize = 6;

/// One line of a plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Which colour, by the target's place.
    pub colour: usize,
    /// Drawn with gaps: the older of two reports, or a reference.
    pub dashed: bool,
    /// Points by rising x.
    pub points: Vec<(f64, f64)>,
}

/// A plot could not be drawn; the text says why.
#[derive(Debug, thiserror::Error)]
#[error("a plot could not be drawn: {0}")]
pub struct ChartError(String);

/// Something over the seconds of a run. `window`: what was measured, shaded. `capacity`: a reference line.
///
/// # Errors
/// [`ChartError`].
pub fn over_time(
    series: &[Series],
    window: Option<(f64, f64)>,
    capacity: Option<&Series>,
) -> Result<String, ChartError> {
    let every = || series.iter().chain(capacity).flat_map(|s| &s.points);
    let end = every().map(|(x, _)| *x).fold(1.0, f64::max);
    let top = every().map(|(_, y)| *y).fold(0.0, f64::max);
    let top = if top > 0.0 { top * 1.1 } else { 1.0 };
    draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..end, 0.0..top)?;
        if let Some((from, to)) = window {
            chart.draw_series([Rectangle::new([(from, 0.0), (to.min(end), top)], WINDOW.filled())])?;
        }
        mesh(&mut chart, "seconds", &|x| number(*x), &|y| number(*y), 6)?;
        for one in capacity.into_iter().chain(series) {
            line(
                &mut chart,
                one,
                if capacity == Some(one) { CAPACITY } else { colour(one) },
            )?;
        }
        Ok(())
    })
}

/// A cumulative distribution, times on a logarithmic scale: how many percent were at most so long.
///
/// # Errors
/// [`ChartError`].
pub fn distribution(series: &[Series], unit: &str) -> Result<String, ChartError> {
    let xs = || {
        series
            .iter()
            .flat_map(|s| &s.points)
            .map(|(x, _)| *x)
            .filter(|x| *x > 0.0)
    };
    let from = xs().fold(f64::INFINITY, f64::min).clamp(1e-3, 1e6);
    // Whole decades below, so that the axis has labels; the right end is the longest sample.
    let from = 10_f64.powf(from.log10().floor());
    let to = xs().fold(0.0, f64::max).max(from * 10.0);
    draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d((from..to).log_scale(), 0.0..100.0)?;
        mesh(&mut chart, unit, &|x| number(*x), &|y| format!("{y:.0} %"), 5)?;
        for one in series {
            line(&mut chart, one, colour(one))?;
        }
        Ok(())
    })
}

type Drawing<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Fault = DrawingAreaErrorKind<std::io::Error>;

fn draw<F>(paint: F) -> Result<String, ChartError>
where
    F: for<'a> FnOnce(&Drawing<'a>) -> Result<(), Fault>,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        paint(&area).map_err(|error| ChartError(error.to_string()))?;
        area.present().map_err(|error| ChartError(error.to_string()))?;
    }
    Ok(svg)
}

fn mesh<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    x_name: &str,
    x_text: &dyn Fn(&f64) -> String,
    y_text: &dyn Fn(&f64) -> String,
    x_labels: usize,
) -> Result<(), Fault>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS)
        .label_style(("sans-serif", 15, &TEXT))
        .axis_desc_style(("sans-serif", 15, &TEXT))
        .x_desc(x_name)
        .x_labels(x_labels)
        .y_labels(5)
        .x_label_formatter(x_text)
        .y_label_formatter(y_text)
        .draw()
}

fn line<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    series: &Series,
    colour: RGBColor,
) -> Result<(), Fault>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let points = series.points.iter().copied();
    let style = colour.stroke_width(2);
    if series.dashed {
        chart.draw_series(DashedLineSeries::new(points, 6, 4, style))?;
    } else {
        chart.draw_series(LineSeries::new(points, style))?;
    }
    Ok(())
}

fn colour(series: &Series) -> RGBColor {
    let shade = SERIES + (series.colour % COLOURS) as u8;
    RGBColor(shade, shade, shade)
}

fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{}M", super::metrics::number(value / 1e6)),
        v if v >= 1e4 => format!("{}k", super::metrics::number(value / 1e3)),
        v if v < 1e-9 => "0".to_owned(),
        _ => super::metrics::number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_line_per_series_in_placeholder_colours() {
        let series: Vec<Series> = (0..2)
            .map(|colour| Series {
                colour,
                dashed: false,
                points: (0..10).map(|x| (f64::from(x), f64::from(x * colour as i32))).collect(),
            })
            .collect();
        let svg = over_time(&series, Some((2.0, 8.0)), None).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("viewBox"), "{svg}");
        assert!(
            svg.contains("#0A0A0A") && svg.contains("#0B0B0B") && svg.contains("#040404"),
            "{svg}"
        );
        assert!(svg.contains("seconds"));
        let svg = distribution(&series, "ms").unwrap();
        assert!(svg.contains("100 %"), "{svg}");
    }

    #[test]
    fn nothing_at_all_is_drawn_as_an_empty_plot() {
        assert!(over_time(&[], None, None).is_ok());
        assert!(distribution(&[Series::default()], "ms").is_ok());
    }
}
