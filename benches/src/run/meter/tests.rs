use super::*;

#[test]
fn a_metric_is_summed_over_the_shards() {
    let text = "# TYPE a_b gauge\na_b{shard=\"0\"} 3\na_b{shard=\"1\"} 4\na_bc{shard=\"0\"} 100\n";
    assert_eq!(sum(text, "a_b"), 7.0);
    assert_eq!(sum(text, "nothing"), 0.0);
}

#[test]
fn estimates_are_set_beside_what_the_link_carries_at_that_time() {
    let text = "[down]\nrate_kbps = 1000\n[[change]]\nat_seconds = 2\ndown = { rate_kbps = 2000 }";
    let link: Impairment = toml::from_str(text).unwrap();
    let point = |t: f64, in_window, estimate_bps| Point {
        t,
        in_window,
        estimate_bps,
        estimates: 2,
        ..Point::default()
    };
    let series = [
        point(9.0, false, 5e6),
        point(10.0, true, 1.8e6),
        point(11.0, true, 1.8e6),
        point(12.0, true, 3.6e6),
    ];
    assert_eq!(estimate_percent(&series, &link), [90.0, 90.0, 90.0]);
}

#[test]
fn a_full_machine_is_no_place_to_measure_on() {
    let mut figures = Figures::default();
    figures.generator.threads = 64;
    assert_eq!(doubts(&figures), None);
    figures.generator.cpu_percent = 97.0 * proc::cores() as f64;
    assert!(doubts(&figures).unwrap().contains("full"));
}
