//! Worlds to connect in, made up from a seed. Knows what may be in one, not what comes of it.

use std::sync::Arc;
use std::time::Duration;

use pgpoll::conninfo::{ChannelBinding, Host, Plan, SslMode, Target};
use pgpoll::engine::{Engine, Random};
use pgpoll::link::Addr;
use testkit::dice::Dice;
use testkit::sim::{FAULTS, Kind, Login, Name, Nature, OnDial, OnTls, ROOM, World, plan, tls};

pub(crate) const MILLISECOND: u64 = 1_000_000;

/// A world: how the client connects, and what it meets.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) conninfo: String,
    pub(crate) sslmode: SslMode,
    pub(crate) direct: bool,
    pub(crate) binding: ChannelBinding,
    pub(crate) timeout: Option<Duration>,
    pub(crate) names: Vec<(String, Name)>,
    pub(crate) servers: Vec<(Addr, Nature)>,
    /// Nothing goes wrong but that a server may be of another kind.
    pub(crate) is_fair: bool,
    pub(crate) slowness: u64,
}

const MODES: [SslMode; 6] = [
    SslMode::Disable,
    SslMode::Allow,
    SslMode::Prefer,
    SslMode::Require,
    SslMode::VerifyCa,
    SslMode::VerifyFull,
];

const KINDS: [&str; 6] = [
    "any",
    "read-write",
    "read-only",
    "primary",
    "standby",
    "prefer-standby",
];

pub(crate) const GOOD_LOGINS: [Login; 5] = [
    Login::Trusts,
    Login::IsOld,
    Login::Cleartext,
    Login::Md5,
    Login::Scram,
];

const BAD_LOGINS: [Login; 8] = [
    Login::Forges,
    Login::CutsShort,
    Login::Replays,
    Login::Rejects,
    Login::IsStarting,
    Login::LacksDatabase,
    Login::IsStrange,
    Login::Babbles,
];

const SILENT_LOGINS: [Login; 2] = [Login::IsSilent, Login::Stops];

const FLOODS: [Login; 3] = [
    Login::FloodsNotices,
    Login::FloodsParameters,
    Login::FloodsRequests,
];

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let is_fair = dice.percent(25);
        let timeout = dice
            .percent(70)
            .then(|| Duration::from_secs(dice.between(2, 10)));
        let mut scene = Self {
            seed,
            conninfo: String::new(),
            sslmode: dice.pick(&MODES),
            direct: false,
            binding: ChannelBinding::Prefer,
            timeout,
            names: Vec::new(),
            servers: Vec::new(),
            is_fair,
            slowness: 0,
        };
        let requires = !matches!(
            scene.sslmode,
            SslMode::Disable | SslMode::Allow | SslMode::Prefer
        );
        scene.direct = requires && dice.percent(30);
        if !is_fair && dice.percent(10) {
            scene.binding = dice.pick(&[ChannelBinding::Require, ChannelBinding::Disable]);
        }
        scene.slowness = match is_fair {
            true => 20 * MILLISECOND,
            false => dice.pick(&[0, 20 * MILLISECOND, 4_000 * MILLISECOND]),
        };
        let mut hosts = Vec::new();
        for host in 0..dice.between(1, 4) {
            hosts.push(scene.host(host, dice));
        }
        let wanted = dice.pick(&KINDS);
        let order = dice.pick(&["disable", "random"]);
        scene.conninfo = format!(
            "host={} user=tester password=secret target_session_attrs={wanted} load_balance_hosts={order}",
            hosts.join(",")
        );
        if let Some(timeout) = timeout {
            scene.conninfo += &format!(" connect_timeout={}", timeout.as_secs());
        }
        if dice.percent(30) {
            scene.conninfo += " max_protocol_version=3.2";
        }
        scene
    }

    /// Makes up a host; how it is written.
    fn host(&mut self, number: u64, dice: &mut Dice) -> String {
        let tcp = |last: u64| Addr::Tcp(format!("10.0.{number}.{last}:5432").parse().unwrap());
        let kind = kind(dice);
        if dice.percent(8) {
            let path = format!("/socket{number}/.s.PGSQL.5432");
            self.place(Addr::Unix(path.into_bytes()), kind, dice);
            return format!("/socket{number}");
        }
        if dice.percent(15) {
            self.place(tcp(1), kind, dice);
            return format!("10.0.{number}.1");
        }
        let name = format!("host{number}.example");
        let mut found = Vec::new();
        for last in 1..=dice.between(1, 3) {
            let addr = tcp(last);
            if let Addr::Tcp(at) = addr {
                found.push(at);
            }
            self.place(addr, kind, dice);
        }
        let means = match dice.below(20) {
            0 if !self.is_fair => Name::IsUnknown,
            1 if !self.is_fair && self.timeout.is_some() => Name::IsSilent,
            _ => Name::Has(found),
        };
        self.names.push((name.clone(), means));
        name
    }

    /// Makes up a server. All addresses of a host are of one kind.
    fn place(&mut self, addr: Addr, kind: Kind, dice: &mut Dice) {
        let mut nature = if self.is_fair || dice.percent(30) {
            fair(dice)
        } else {
            self.foul(dice)
        };
        nature.kind = kind;
        self.servers.push((addr, nature));
    }

    /// A server with something wrong about it. Only where the client's patience ends is it silent.
    fn foul(&self, dice: &mut Dice) -> Nature {
        let patient = self.timeout.is_none();
        let mut nature = fair(dice);
        nature.dial = match dice.below(10) {
            0..2 => OnDial::Refuses,
            2 if !patient => OnDial::IsSilent,
            _ => OnDial::Accepts,
        };
        nature.tls = match dice.below(20) {
            0..6 => OnTls::Works,
            6..10 => OnTls::Refuses,
            10..12 => OnTls::Fails,
            12 => OnTls::Injects,
            13 => OnTls::Errs,
            14 => OnTls::Babbles,
            15 => OnTls::Closes,
            16 if !patient => OnTls::IsSilent,
            17 if !patient => OnTls::Hangs,
            _ => OnTls::Works,
        };
        nature.admits = dice.pick(&[(true, true), (true, true), (true, false), (false, true)]);
        nature.login = match dice.below(40) {
            0..16 => dice.pick(&GOOD_LOGINS),
            16..34 => dice.pick(&BAD_LOGINS),
            34..37 if !patient => dice.pick(&SILENT_LOGINS),
            37 => dice.pick(&FLOODS),
            _ => dice.pick(&GOOD_LOGINS),
        };
        if dice.percent(30) {
            let fault = dice.pick(&FAULTS[..if patient { 2 } else { 3 }]);
            nature.fault = Some((dice.below(300) as usize, fault));
        }
        nature.latency = dice.pick(&[0, 10, 300, 3_000]) * MILLISECOND;
        nature.piece = dice.pick(&[1, 20, 10_000]);
        if FLOODS.contains(&nature.login) {
            nature.piece = 10_000;
        }
        nature
    }

    pub(crate) fn plan(&self) -> Plan {
        let mut plan = plan(&self.conninfo);
        plan.sslmode = self.sslmode;
        plan.channel_binding = self.binding;
        let mut tls = tls();
        tls.direct = self.direct;
        plan.tls = (self.sslmode != SslMode::Disable).then(|| Arc::new(tls));
        plan
    }

    /// The servers that are behind a host of the plan.
    pub(crate) fn of_host<'a>(
        &'a self,
        host: &'a Host,
    ) -> impl Iterator<Item = &'a (Addr, Nature)> {
        let names = self.names.iter();
        let found = names.filter_map(|(name, means)| match means {
            Name::Has(found) if name.as_bytes() == host.name => Some(found),
            _ => None,
        });
        let found: Vec<_> = found.flatten().copied().collect();
        self.servers
            .iter()
            .filter(move |(addr, _)| match (addr, &host.target) {
                (Addr::Unix(path), Target::Unix(own)) => path == own,
                (Addr::Tcp(at), Target::Addr(own)) => at.ip() == *own,
                (Addr::Tcp(at), Target::Name(_)) => found.contains(at),
                _ => false,
            })
    }

    pub(crate) fn world(&self, plan: Plan) -> World {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        let engine = Engine::new(plan, Random::new(seed), ROOM);
        let mut world = World::new(engine, self.seed);
        world.slowness = self.slowness;
        for (name, means) in &self.names {
            world.name(name, means.clone());
        }
        for (addr, nature) in &self.servers {
            world.server(addr, nature.clone());
        }
        world
    }
}

fn kind(dice: &mut Dice) -> Kind {
    Kind {
        standby: dice.percent(40),
        read_only: dice.percent(20),
        reports: dice.percent(70),
    }
}

/// A server with which nothing is wrong, of any kind.
fn fair(dice: &mut Dice) -> Nature {
    Nature {
        dial: OnDial::Accepts,
        tls: OnTls::Works,
        admits: (true, true),
        login: dice.pick(&GOOD_LOGINS),
        kind: kind(dice),
        fault: None,
        latency: dice.pick(&[0, MILLISECOND / 100]),
        piece: dice.pick(&[30, 1000]),
    }
}
