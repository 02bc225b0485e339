//! Refusals taken at their word: every conflict without each of its members, every fix made to the fleet or the request,
//! planned again; and every number of a reason changed, which the stranger must see.

use std::sync::Arc;

use decant_planner::check::{Unproven, Violation, check};
use decant_schema::fleet::{Fleet, FleetDocument, GroupPolicy};
use decant_schema::id::InstanceId;
use decant_schema::plan::{Conflict, Fix, Plan, RuleName};
use decant_schema::request::{Request, RequestKind};

use crate::fleets::{Shape, case};
use crate::planned::{planned, wrong};

const SEEDS: std::ops::Range<u64> = 0..120;

const TIGHT: Shape = Shape { hosts: 5, instances_per_host: 6, fill_percent: 95, flavors: 4 };

/// Random cases with their plans, where something is refused.
fn refusing() -> impl Iterator<Item = (u64, Arc<Fleet>, Request, Plan)> {
    SEEDS.filter_map(|seed| {
        let (fleet, request) = case(seed, TIGHT);
        let plan = planned(&fleet, &request);
        assert_eq!(wrong(&fleet, &plan), Vec::<String>::new(), "seed {seed}");
        (!plan.refusals.is_empty()).then_some((seed, fleet, request, plan))
    })
}

fn is_refused(plan: &Plan, instance: &InstanceId) -> bool {
    plan.refusals.iter().any(|refusal| refusal.instance == *instance)
}

/// Plans with only these asked: of the others, those on emptied hosts are gone, and nobody resizes the rest.
fn planned_for(fleet: &Fleet, request: &Request, members: &[&InstanceId]) -> Plan {
    let mut document = fleet.document().clone();
    let mut request = request.clone();
    match &mut request.kind {
        RequestKind::Resize { resizes } => resizes.retain(|resize| members.contains(&&resize.instance)),
        RequestKind::Evacuate { hosts } | RequestKind::Rolling { hosts, .. } => {
            let gone = |id: &InstanceId, host| hosts.contains(host) && !members.contains(&id);
            let gone: Vec<InstanceId> = document
                .instances
                .iter()
                .filter(|instance| gone(&instance.id, &instance.host))
                .map(|instance| instance.id.clone())
                .collect();
            document.instances.retain(|instance| !gone.contains(&instance.id));
            document.server_groups.iter_mut().for_each(|group| group.members.retain(|id| !gone.contains(id)));
            document.server_groups.retain(|group| !group.members.is_empty());
            gone.iter().for_each(|id| _ = request.options.pins.remove(id.as_str()));
        }
    }
    planned(&Arc::new(Fleet::from_document(document).unwrap()), &request)
}

fn fit(fleet: &Fleet, request: &Request, members: &[&InstanceId]) -> bool {
    members.is_empty() || {
        let plan = planned_for(fleet, request, members);
        members.iter().all(|member| !is_refused(&plan, member))
    }
}

#[test]
fn without_any_member_of_a_conflict_the_others_fit() {
    let (mut conflicts, mut of_several) = (0, 0);
    for (seed, fleet, request, plan) in refusing() {
        for conflict in plan.refusals.iter().filter_map(|refusal| refusal.conflict.as_ref()) {
            let Conflict { instances, irreducible, .. } = conflict;
            let all: Vec<&InstanceId> = instances.iter().collect();
            assert!(!fit(&fleet, &request, &all), "seed {seed}: {conflict:?} is none");
            for without in instances.iter().filter(|_| *irreducible) {
                let others: Vec<&InstanceId> = instances.iter().filter(|member| *member != without).collect();
                assert!(fit(&fleet, &request, &others), "seed {seed}: {conflict:?} holds without {without}");
            }
            conflicts += 1;
            of_several += usize::from(instances.len() > 1);
        }
    }
    println!("{conflicts} conflicts, {of_several} of several instances");
    assert!(conflicts > 0 && of_several > 0);
}

/// That nothing but the planner's word says so is rare; and the prices of a conflict prove nothing of less than all of it.
#[test]
fn conflicts_are_proven_by_prices_that_need_every_member() {
    let (mut conflicts, mut unproven, mut boasts) = (0, 0, 0);
    for (seed, fleet, _, plan) in refusing() {
        conflicts += plan.refusals.iter().filter(|refusal| refusal.conflict.is_some()).count();
        unproven += check(&fleet, &plan).unproven.iter().filter(|it| matches!(it, Unproven::Conflict { .. })).count();
        for (at, refusal) in plan.refusals.iter().enumerate() {
            let Some(conflict) = refusal.conflict.as_ref().filter(|it| it.irreducible) else { continue };
            let Some(certificate) = conflict.certificate.as_ref() else { continue };
            let others = conflict.instances.iter().filter(|member| **member != refusal.instance);
            let fewer = others.map(|without| {
                let instances = conflict.instances.iter().filter(|member| *member != without).cloned().collect();
                Conflict { instances, ..conflict.clone() }
            });
            let mut more = certificate.clone();
            more.pools[0].bound = conflict.instances.len() as u64 + 1;
            let more = Conflict { certificate: Some(more), ..conflict.clone() };
            for false_one in fewer.chain([more]) {
                let mut plan = plan.clone();
                plan.refusals[at].conflict = Some(false_one);
                let found = check(&fleet, &plan).violations;
                assert!(matches!(found[..], [Violation::FalseConflict { .. }]), "seed {seed}: {found:?}");
                boasts += 1;
            }
        }
    }
    println!("{conflicts} conflicts, {unproven} of them not proven, {boasts} false ones rejected");
    assert!(boasts > 0 && unproven * 4 < conflicts, "{unproven} of {conflicts} are not proven");
}

/// The fleet and the request with a fix made by hand; `None` where that takes more than a test knows.
fn made(fix: &Fix, fleet: &Fleet, request: &Request) -> Option<(FleetDocument, Request)> {
    let (mut document, mut request) = (fleet.document().clone(), request.clone());
    match fix {
        Fix::AllowDisplacement { .. } => request.options.no_displace = false,
        Fix::Unpin { instance } => {
            request.options.pins.remove(instance.as_str());
            document.instances.iter_mut().find(|known| known.id == *instance)?.pinned = false;
        }
        Fix::AddHost { like } => {
            let mut twin = document.hosts.iter().find(|host| host.name == *like)?.clone();
            (twin.name, twin.enabled, twin.up) = ("zz".into(), true, true);
            twin.other_usage.clear();
            document.hosts.push(twin);
        }
        Fix::FreeRoom { host, amounts } => {
            let host = document.hosts.iter_mut().find(|known| known.name == *host)?;
            for (class, amount) in amounts {
                *host.other_usage.get_mut(class).filter(|used| **used >= *amount)? -= amount;
            }
        }
        Fix::RelaxGroup { group } => {
            let group = document.server_groups.iter_mut().find(|known| known.name.as_str() == group)?;
            group.policy = match group.policy {
                GroupPolicy::Affinity | GroupPolicy::SoftAffinity => GroupPolicy::SoftAffinity,
                GroupPolicy::AntiAffinity | GroupPolicy::SoftAntiAffinity => GroupPolicy::SoftAntiAffinity,
            };
        }
        Fix::LowerHeadroom { percent } => request.options.headroom_percent = *percent,
        Fix::AdmitHost { host } => {
            request.options.exclude_hosts.remove(host.as_str());
            document.hosts.iter_mut().find(|known| known.name == *host)?.enabled = true;
        }
        Fix::LiftBinding { rule, instances, .. } => {
            for id in instances {
                let instance = document.instances.iter_mut().find(|known| known.id == *id)?;
                let mut flavor = document.flavors.iter().find(|known| known.name == instance.flavor)?.clone();
                match rule {
                    RuleName::Zone => instance.zone = None,
                    RuleName::Aggregate => flavor.required_aggregates.clear(),
                    RuleName::RequiredTrait => flavor.required_traits.clear(),
                    RuleName::ForbiddenTrait => flavor.forbidden_traits.clear(),
                    _ => return None,
                }
                flavor.name = format!("{} of {id}", flavor.name).as_str().into();
                instance.flavor = flavor.name.clone();
                document.flavors.push(flavor);
            }
        }
        Fix::EmptyLater { hosts: later } => {
            let RequestKind::Evacuate { hosts } = &mut request.kind else { return None };
            hosts.retain(|host| !later.contains(host));
        }
        Fix::LongerWindow { window_s } => request.options.window_s = Some(*window_s),
        Fix::FewerSpareHosts { .. } => return None,
    }
    Some((document, request))
}

#[test]
fn every_fix_made_by_hand_lets_its_instance_go_and_refuses_fewer() {
    let mut made_in_all = 0;
    for (seed, fleet, request, plan) in refusing() {
        for refusal in &plan.refusals {
            for (fix, made) in refusal.fixes.iter().filter_map(|fix| Some((fix, made(fix, &fleet, &request)?))) {
                let (document, request) = made;
                let after = planned(&Arc::new(Fleet::from_document(document).unwrap()), &request);
                let helps = after.refusals.len() < plan.refusals.len() && !is_refused(&after, &refusal.instance);
                assert!(helps, "seed {seed}: {fix:?} does not help {}", refusal.instance);
                made_in_all += 1;
            }
        }
    }
    println!("{made_in_all} fixes");
    assert!(made_in_all > 0);
}

#[test]
fn every_false_number_of_a_reason_is_seen() {
    type Lie = fn(&mut decant_schema::plan::Reason);
    let lies: [Lie; 5] = [
        |reason| reason.hosts += 1,
        |reason| reason.hosts_in_all += 1,
        |reason| reason.need = Some(reason.need.unwrap_or(0) + 1),
        |reason| reason.best = Some(reason.best.unwrap_or(0) + 1),
        |reason| reason.best_host = None,
    ];
    let mut seen = 0;
    for (seed, fleet, _, plan) in refusing() {
        for (refusal, reason) in
            (0..plan.refusals.len()).flat_map(|at| (0..plan.refusals[at].reasons.len()).map(move |reason| (at, reason)))
        {
            // What may not leave its host has one reason without numbers.
            let counted = plan.refusals[refusal].reasons[reason].hosts > 0;
            for lie in lies.iter().filter(|_| counted) {
                let mut false_plan = plan.clone();
                lie(&mut false_plan.refusals[refusal].reasons[reason]);
                if false_plan != plan {
                    assert_ne!(wrong(&fleet, &false_plan), Vec::<String>::new(), "seed {seed}: {refusal} {reason}");
                    seen += 1;
                }
            }
        }
    }
    println!("{seen} lies");
    assert!(seen > 0);
}
