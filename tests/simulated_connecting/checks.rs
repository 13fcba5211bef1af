//! What holds for every world. Knows no seed.

use pgpoll::conninfo::{ChannelBinding, Plan, SslMode, Target, TargetSessionAttrs};
use pgpoll::engine::{Command, End, Outcome, Reply};
use pgpoll::link::Addr;
use testkit::sim::{Kind, Login, Name, Nature, START, World};

use super::scene::{GOOD_LOGINS, MILLISECOND, Scene};

/// After these no other server is asked.
const FINAL_LOGINS: [Login; 7] = [
    Login::Forges,
    Login::CutsShort,
    Login::Replays,
    Login::Rejects,
    Login::LacksDatabase,
    Login::IsStrange,
    Login::FloodsRequests,
];

/// Whether a server is what the client wants; `prefer-standby` takes any in the end.
fn suits(kind: Kind, wanted: TargetSessionAttrs) -> bool {
    let read_only = kind.standby || kind.read_only;
    match wanted {
        TargetSessionAttrs::Any | TargetSessionAttrs::PreferStandby => true,
        TargetSessionAttrs::ReadWrite => !read_only,
        TargetSessionAttrs::ReadOnly => read_only,
        TargetSessionAttrs::Primary => !kind.standby,
        TargetSessionAttrs::Standby => kind.standby,
    }
}

/// It took no longer than it may, and not more work than there was to do.
pub(crate) fn effort(scene: &Scene, plan: &Plan, world: &World) {
    // A resolver that answers and a server that is tried with two methods count as one each; the passes of
    // prefer-standby as two.
    let places: usize = scene.servers.len() + scene.names.len();
    let passes = match plan.target_session_attrs {
        TargetSessionAttrs::PreferStandby => 2,
        _ => 1,
    };
    if let Some(timeout) = scene.timeout {
        let most = timeout.as_nanos() as u64 * (places * passes) as u64;
        assert!(world.now - START <= most, "{}", world.place());
    }
    let most = 50 + 60 * world.tried.len() + 20 * places + 4 * world.received;
    assert!(
        world.advances <= most,
        "{} advances: {}",
        world.advances,
        world.place()
    );
}

/// The server that lets us in is one that may.
pub(crate) fn server(scene: &Scene, plan: &Plan, world: &World) {
    let (nature, encrypted) = world.with().unwrap();
    let addr = world.engine.facts().addr().unwrap();
    let on_socket = matches!(addr, Addr::Unix(_));
    assert!(
        suits(nature.kind, plan.target_session_attrs),
        "{}",
        world.place()
    );
    assert!(
        GOOD_LOGINS.contains(&nature.login),
        "it should not have been believed: {}",
        world.place()
    );
    assert_eq!(world.engine.facts().tls().is_some(), encrypted);
    match scene.sslmode {
        _ if on_socket => assert!(!encrypted),
        SslMode::Disable => assert!(!encrypted),
        SslMode::Allow | SslMode::Prefer => {}
        _ => assert!(encrypted, "TLS was required: {}", world.place()),
    }
    if scene.binding == ChannelBinding::Require {
        assert!(
            encrypted && nature.login == Login::Scram,
            "{}",
            world.place()
        );
    }
}

/// A query makes its round.
pub(crate) fn usable(world: &mut World) {
    let sql = b"SELECT 1";
    world
        .engine
        .start(Command::Query { sql }, End::Sync)
        .unwrap();
    world.run(|engine| engine.queued() == 0);
    let mut replies = std::iter::from_fn(|| world.engine.take());
    let Some(Reply::Rows(rows)) = replies.next().map(|item| item.reply) else {
        panic!("no rows: {}", world.place());
    };
    assert_eq!(rows.value(0, 0), Some(&b"1"[..]));
    assert!(matches!(replies.next().unwrap().reply, Reply::Complete(_)));
    let Reply::Done(done) = replies.next().unwrap().reply else {
        panic!("no done");
    };
    assert_eq!(done.outcome, Outcome::Ok);
    assert!(replies.next().is_none());
}

/// The error names every address that was tried, in order, and says something about each.
pub(crate) fn words(world: &World, text: &str) {
    let place = || format!("{text}\n{:#?}\n{}", world.tried, world.place());
    let mut rest = text;
    for (index, tried) in world.tried.iter().enumerate() {
        let at = rest
            .find(tried.as_str())
            .unwrap_or_else(|| panic!("{}", place()));
        let (before, found) = rest.split_at(at);
        assert_eq!(before.contains('\n'), index > 0, "{}", place());
        rest = &found[tried.len()..];
        let said = rest.lines().next().unwrap_or_default();
        assert!(!said.is_empty(), "{}", place());
    }
    let told = text.matches("connection to server ").count()
        + text.matches("could not translate host name ").count();
    assert_eq!(told, world.tried.len(), "{}", place());
    assert!(!text.contains("do not believe this"));
    assert!(!text.contains("internal error"), "{}", place());
}

/// Nobody was left out: a server of the wanted kind with which nothing is wrong was not there, and each one was asked that
/// nothing stood in front of.
pub(crate) fn hope(scene: &Scene, plan: &Plan, world: &World) {
    let wanted = plan.target_session_attrs;
    let suits = |nature: &Nature| suits(nature.kind, wanted);
    if scene.is_fair {
        let found = scene.servers.iter().find(|(_, nature)| suits(nature));
        assert!(found.is_none(), "{found:?}: {}", world.place());
    }
    let is_final = |nature: &Nature| {
        nature.admits != (true, true)
            || FINAL_LOGINS.contains(&nature.login)
            || scene.binding == ChannelBinding::Require
    };
    if scene.servers.iter().any(|(_, nature)| is_final(nature)) {
        return;
    }
    // What a server says of itself it says for all addresses of its host: the others are passed over.
    let passes_over = |nature: &Nature| nature.login == Login::IsStarting || !suits(nature);
    for host in &plan.hosts {
        let own: Vec<&(Addr, Nature)> = scene.of_host(host).collect();
        let asked = |(addr, _): &&(Addr, Nature)| world.has_tried(addr);
        let some = own.iter().copied().any(|server| asked(&server));
        let unknown = match &host.target {
            Target::Name(name) => scene
                .names
                .iter()
                .any(|(known, means)| known.as_bytes() == name && !matches!(means, Name::Has(_))),
            _ => false,
        };
        let late = scene.slowness > 1_000 * MILLISECOND;
        assert!(some || unknown || late, "{host:?}: {}", world.place());
        if some && !own.iter().any(|(_, nature)| passes_over(nature)) {
            assert!(
                own.iter().copied().all(|server| asked(&server)),
                "{host:?}: {}",
                world.place()
            );
        }
    }
}
