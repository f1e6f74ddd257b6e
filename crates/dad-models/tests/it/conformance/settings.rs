//! The models that are asked, and the ways.

use dad_core::SecretRegistry;
use dad_models::{Credentials, HttpClient, Message, ModelCatalog, ModelOptions, ModelRequest, Role};

/// A model behind a protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) protocol: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) model: &'static str,
    pub(crate) effort: Option<&'static str>,
}

const fn setting(protocol: &'static str, provider: &'static str, model: &'static str) -> Setting {
    Setting {
        protocol,
        provider,
        model,
        effort: None,
    }
}

const fn thinking(
    protocol: &'static str,
    provider: &'static str,
    model: &'static str,
    effort: &'static str,
) -> Setting {
    Setting {
        effort: Some(effort),
        ..setting(protocol, provider, model)
    }
}

pub(crate) const SETTINGS: &[Setting] = &[
    setting("openai", "openai", "gpt-4o"),
    thinking("openai", "openai", "gpt-5-mini", "low"),
    setting("openai_responses", "openai", "gpt-4o"),
    setting("openai_responses", "openai", "gpt-5-mini"),
    thinking("openai_responses", "openai", "gpt-5.4", "high"),
    setting("anthropic", "anthropic", "claude-haiku-4-5"),
    thinking("anthropic", "anthropic", "claude-haiku-4-5", "low"),
    thinking("anthropic", "anthropic", "claude-opus-4-8", "high"),
    setting("google", "gemini", "gemini-2.5-flash"),
    thinking("google", "gemini", "gemini-2.5-flash", "low"),
    thinking("google", "gemini", "gemini-3-flash-preview", "low"),
];

/// Those whose provider signs what the model thought.
pub(crate) const THINKING: &[Setting] = &[
    thinking("openai_responses", "openai", "gpt-5.4", "high"),
    thinking("anthropic", "anthropic", "claude-haiku-4-5", "low"),
    thinking("anthropic", "anthropic", "claude-opus-4-8", "high"),
    thinking("google", "gemini", "gemini-3-flash-preview", "low"),
];

/// Those whose prompts are marked for a cache, by models that take marks and one that does not.
pub(crate) const CHAT_CACHE: Setting = setting("openai", "openai", "gpt-5.6-luna");
pub(crate) const RESPONSES_CACHE: Setting = setting("openai_responses", "openai", "gpt-6-sol");
pub(crate) const RESPONSES_WITHOUT: Setting = setting("openai_responses", "openai", "gpt-5-mini");
pub(crate) const ANTHROPIC_CACHE: Setting = thinking("anthropic", "anthropic", "claude-haiku-4-5", "low");

/// Whether the answer comes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Whole,
    Streamed,
}

impl Mode {
    pub(crate) const BOTH: [Self; 2] = [Self::Whole, Self::Streamed];
}

/// All settings, each in both ways.
pub(crate) fn all() -> impl Iterator<Item = (&'static Setting, Mode)> {
    SETTINGS
        .iter()
        .flat_map(|setting| [(setting, Mode::Whole), (setting, Mode::Streamed)])
}

/// A client of all settings, which has a key for each and facts about each model.
pub(crate) struct Clients {
    pub(crate) client: HttpClient,
    /// The client reads its keys when it needs them.
    _project: tempfile::TempDir,
}

impl Clients {
    pub(crate) fn at(url: &str) -> Self {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(project.path().join(".dhenara/.secrets")).unwrap();
        let entries = SETTINGS.iter().chain([&CHAT_CACHE, &RESPONSES_CACHE]);
        let entries = entries.map(|setting| setting.entry(url));
        std::fs::write(
            project.path().join(".dhenara/models.yaml"),
            entries.collect::<String>(),
        )
        .unwrap();
        let keys = ["openai", "anthropic", "gemini"];
        let keys = keys.map(|provider| format!("{provider}:\n  api_key: sk-strict-0123456789\n"));
        let file = project.path().join(".dhenara/.secrets/.credentials.yaml");
        std::fs::write(file, keys.concat()).unwrap();
        let catalog = ModelCatalog::load(project.path()).unwrap();
        let credentials = Credentials::new(project.path(), None, SecretRegistry::new());
        Self {
            client: HttpClient::new(catalog, credentials),
            _project: project,
        }
    }
}

impl Setting {
    fn name(&self) -> String {
        format!(
            "{}-{}-{}",
            self.protocol,
            self.model,
            self.effort.unwrap_or("quiet")
        )
    }

    fn entry(&self, url: &str) -> String {
        let Self {
            protocol,
            provider,
            model,
            ..
        } = self;
        let name = self.name();
        format!(
            "- {{ name: {name}, provider: {provider}, model: {model}, protocol: {protocol}, base_url: \"{url}/v1\" }}\n"
        )
    }

    pub(crate) fn request(&self, prompt: &str) -> ModelRequest {
        ModelRequest::new(self.name(), vec![Message::new(Role::User, prompt)])
            .options(ModelOptions::default().reasoning_effort(self.effort.map(str::to_owned)))
    }

    /// Whether the thoughts come with the answer.
    pub(crate) fn shows_thoughts(&self) -> bool {
        match self.protocol {
            "openai" => false,
            "openai_responses" => self.model.starts_with("gpt-5"),
            _ => self.effort.is_some(),
        }
    }
}
