//! A process that is killed by the system while several of its steps execute, at random moments.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use dad_tests::check_run_dir;
use dhenara::RunStatus;
use dhenara::run::{Dirs, RunView};
use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::crashes::outcomes;
use crate::harness::{TestEnvironment, records, tell};

const KILLS: u32 = 200;
/// The most exchanges at a time: those of the loop's iterations.
const AT_A_TIME: usize = 4;
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers that look random and are the same every time (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A process that drives a run, and what it announces.
struct Driver {
    child: Child,
    lines: Receiver<String>,
    errors: PathBuf,
}

impl Driver {
    fn start(env: &TestEnvironment, flow: &str, what: &str) -> Self {
        let project = env.project();
        let errors = env.path("tmp").join("errors");
        let mut command = env.command(env!("CARGO_BIN_EXE_announcing"), &project);
        command.arg(&project).args([flow, what]);
        command
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&errors).unwrap());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let pipe = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in pipe.lines() {
                // The test that does not ask for it any more has ended.
                let _ = sender.send(line.unwrap());
            }
        });
        Self { child, lines, errors }
    }

    /// The next thing it announces; nothing once it is dead.
    fn next(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it neither goes on nor ends"),
        }
    }

    /// Kills it, unless it has ended. How it ended, and what else was in the pipe.
    fn kill(mut self) -> (ExitStatus, Vec<String>) {
        // One that has ended by now cannot be killed, and says so itself.
        let _ = self.child.kill();
        self.end()
    }

    fn end(mut self) -> (ExitStatus, Vec<String>) {
        let rest = std::iter::from_fn(|| self.next()).collect();
        let status = self.child.wait().unwrap();
        let is_killed = status.code().is_none();
        let errors = std::fs::read_to_string(&self.errors).unwrap();
        assert!(is_killed || status.success(), "{errors}");
        (status, rest)
    }
}

/// The number of times that each exchange was made.
fn exchanges(env: &TestEnvironment) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(env.project().join("exchanges")).unwrap_or_default();
    let mut made = BTreeMap::new();
    for line in text.lines() {
        *made.entry(line.to_owned()).or_default() += 1;
    }
    made
}

fn repetitions(made: &BTreeMap<String, usize>) -> usize {
    made.values().map(|times| times - 1).sum()
}

/// The spending of each step: its exchanges, and the number of its beginnings.
fn spent(env: &TestEnvironment, run: &Path) -> BTreeMap<String, (usize, usize)> {
    let mut spent: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for record in records(run, "step_started") {
        let step = record["path"].as_str().unwrap().to_owned();
        spent.entry(step).or_default().1 += 1;
    }
    for (what, times) in exchanges(env) {
        let (step, _) = what.rsplit_once(' ').unwrap();
        spent.entry(step.to_owned()).or_default().0 += times;
    }
    spent
}

/// A run that is killed again and again.
struct Victim {
    env: TestEnvironment,
    /// The spending of each announced step, at that time.
    announced: BTreeMap<String, (usize, usize)>,
    kills: u32,
    /// Kills after a first commit and before the end.
    in_the_middle: u32,
}

impl Victim {
    fn new() -> Self {
        Self {
            env: TestEnvironment::new(),
            announced: BTreeMap::new(),
            kills: 0,
            in_the_middle: 0,
        }
    }

    /// The run; none before it has a first record.
    fn run(&self) -> Option<PathBuf> {
        let mut runs = self.env.runs();
        assert!(runs.len() <= 1, "it was begun again: {runs:?}");
        runs.pop()
    }

    fn is_completed(&self) -> bool {
        let sealed = self.run().map(|run| RunView::open(run).unwrap().sealed_status());
        sealed.flatten() == Some(RunStatus::Completed)
    }

    /// Drives the run until it has announced so many steps and a moment longer, then kills the driver.
    fn live(&mut self, lines: u64, moment: Duration, at: &str) {
        let what = if self.run().is_some() { "resume" } else { "run" };
        let before = repetitions(&exchanges(&self.env));
        let driver = Driver::start(&self.env, "load", what);
        let mut heard: Vec<String> = (0..lines).map_while(|_| driver.next()).collect();
        let until = Instant::now() + moment;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        let (status, rest) = driver.kill();
        heard.extend(rest);
        let is_killed = status.code().is_none();
        self.kills += u32::from(is_killed);

        let repeated = repetitions(&exchanges(&self.env)) - before;
        assert!(
            repeated <= AT_A_TIME,
            "{at}: {repeated} exchanges were made again: {:?}",
            exchanges(&self.env)
        );
        let Some(run) = self.run() else {
            assert!(heard.is_empty() && is_killed, "{at}: {heard:?}");
            return;
        };
        self.check(&run, &heard, is_killed, at);
        let view = RunView::open(&run).unwrap();
        let middle = view.steps().next().is_some() && view.sealed_status().is_none();
        self.in_the_middle += u32::from(is_killed && middle);
    }

    /// Every announced step is there, no step is there in part, and none was executed again.
    fn check(&mut self, run: &Path, heard: &[String], is_killed: bool, at: &str) {
        let view = RunView::open(run).unwrap();
        let found = view.verify().unwrap();
        assert!(found.damage.is_empty(), "{at}: {:?}", found.damage);
        let committed: BTreeSet<String> = view.steps().map(|step| step.path.to_string()).collect();
        for line in heard {
            let step = line.strip_prefix("ended ").unwrap();
            assert!(
                committed.contains(step),
                "{at}: {step} was announced and is not committed"
            );
        }
        let (_, problems) = check_run_dir(run);
        // What stands beside a file it was to replace, or under a step's name without its record, is put away by who
        // resumes the run.
        let left = ["/.tmp-", "`.tmp-", "no committed step has it"];
        let is_left = |problem: &&String| is_killed && left.iter().any(|left| problem.contains(left));
        let problems: Vec<&String> = problems.iter().filter(|problem| !is_left(problem)).collect();
        assert!(problems.is_empty(), "{at}: {problems:?}");
        let spent = spent(&self.env, run);
        for (step, before) in &self.announced {
            assert_eq!(
                spent[step], *before,
                "{at}: {step} was announced and then done again"
            );
        }
        let dirs = Dirs::new(&self.env.project(), None, None).unwrap();
        let listed = dirs.catalog().list().unwrap();
        assert!(listed.iter().any(|entry| entry.dir == run), "{at}: {listed:?}");
        for line in heard {
            let step = line.strip_prefix("ended ").unwrap();
            let before = self.announced.insert(step.to_owned(), spent[step]);
            assert_eq!(before, None, "{at}: {step} was announced twice");
        }
    }
}

#[test]
fn two_hundred_kills_under_load() {
    let undisturbed = Victim::new();
    let (status, steps) = Driver::start(&undisturbed.env, "load", "run").end();
    assert!(status.success());
    let made = exchanges(&undisturbed.env);
    assert_eq!(repetitions(&made), 0);
    let wanted = outcomes(&undisturbed.run().unwrap());
    assert_eq!(wanted.len(), steps.len(), "everything was announced");

    let seed = std::env::var("DHENARA_KILL_SEED").map_or(20_251_123, |seed| seed.parse().unwrap());
    let mut random = Random(seed);
    let (mut kills, mut in_the_middle, mut repeated, mut runs) = (0, 0, 0, 0);
    while kills < KILLS {
        let mut victim = Victim::new();
        runs += 1;
        while !victim.is_completed() {
            let (lines, moment) = if kills + victim.kills < KILLS {
                (random.below(14), Duration::from_micros(random.below(4000)))
            } else {
                (u64::MAX, Duration::ZERO)
            };
            let at = format!(
                "seed {seed}, run {runs}, kill {} after {lines} steps and {moment:?}",
                kills + victim.kills + 1
            );
            victim.live(lines, moment, &at);
        }
        let run = victim.run().unwrap();
        let at = format!("seed {seed}, run {runs}, {} kills", victim.kills);
        assert_eq!(outcomes(&run), wanted, "{at}");
        let all = exchanges(&victim.env);
        assert!(all.keys().eq(made.keys()), "{at}: {all:?}");
        assert!(
            repetitions(&all) <= AT_A_TIME * victim.kills as usize,
            "{at}: {all:?}"
        );
        kills += victim.kills;
        in_the_middle += victim.in_the_middle;
        repeated += repetitions(&all);
        // One that was killed between its seal and its end has no process that puts its remains away.
        victim.env.is_checked();
    }
    tell(&format!(
        "seed {seed}: {kills} kills in {runs} runs, {in_the_middle} after a first commit and before the end, \
         {repeated} exchanges made again"
    ));
    assert!(
        in_the_middle * 100 >= kills * 80,
        "only {in_the_middle} of {kills} kills in the middle"
    );
    assert!(repeated > 0, "no kill hit an exchange");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_paid_calls_of_one_step_stay_three() {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let text = format!(
            "answer {}",
            body["messages"].as_array().unwrap().len().div_ceil(2)
        );
        ResponseTemplate::new(200).set_body_json(json!({
            "id": "1", "object": "chat.completion", "model": "tiny",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }))
    };
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let env = TestEnvironment::new();
    let models = format!("- {{ name: local/tiny, base_url: \"{}/v1\" }}\n", server.uri());
    env.write(".dhenara/models.yaml", &models);
    let hold = env.write("hold", "");
    let asked = async || server.received_requests().await.unwrap_or_default().len();

    for what in ["run", "resume"] {
        // The second time it comes as far without asking.
        let driver = Driver::start(&env, "exchange", what);
        assert_eq!(driver.next().as_deref(), Some("holding"));
        let (status, rest) = driver.kill();
        assert!(status.code().is_none() && rest.is_empty(), "{status} {rest:?}");
        assert_eq!(asked().await, 2, "{what}");
    }
    std::fs::remove_file(hold).unwrap();
    let (status, rest) = Driver::start(&env, "exchange", "resume").end();
    assert!(status.success() && rest == ["ended scenario.mending"], "{rest:?}");
    assert_eq!(asked().await, 3, "each of the three was paid for once");

    let run = env.last_run();
    let outcome = outcomes(&run)["scenario.mending"].clone();
    for number in 1..=3 {
        assert!(outcome.contains(&format!("\"answer {number}\"")), "{outcome}");
    }
    let begins = records(&run, "step_started");
    let attempts: Vec<_> = begins.iter().map(|record| &record["attempt"]).collect();
    assert_eq!(
        attempts,
        [&json!(1), &json!(1), &json!(1)],
        "one attempt, gone on with"
    );
}
