namespace MailPipeline.Administration;

/// <summary>What is to be said of something that is published, or is not. The words are those of whoever shows it.</summary>
/// <param name="Values">Names and numbers that belong to it, in the order that <see cref="RemarkKind"/> says.</param>
public sealed record PublishedRemark(RemarkKind Kind, params IReadOnlyList<string> Values);

/// <summary>The closed list of remarks. Behind each stands what its values are.</summary>
public enum RemarkKind
{
    /// <summary>DNS gave no answer: the fault.</summary>
    NoAnswer,

    /// <summary>The MX says that the domain takes no mail (RFC 7505).</summary>
    TakesNoMail,

    /// <summary>Hosts that should be among the MX, and are not: the hosts.</summary>
    NotAmongThem,

    /// <summary>What forwarded mail is refused for comes back to the MX that are missing (Srs:Domain).</summary>
    ForwardedComesBack,

    /// <summary>None of the hosts is among the MX to which it comes back.</summary>
    ForwardedGoesElsewhere,

    /// <summary>Addresses of one network alone: the addresses.</summary>
    NotReachable,

    /// <summary>Who has the network of an address publishes its name: the address.</summary>
    OwnerPublishesIt,

    /// <summary>No name of an address leads back to it: the address.</summary>
    LeadsNotBack,

    /// <summary>Anybody may send mail of the domain by its SPF.</summary>
    AnybodyMaySend,

    /// <summary>SPF that ends without saying anything of others.</summary>
    SaysNothingOfOthers,

    /// <summary>A record of SPF that cannot be used: what is wrong with it.</summary>
    SpfFault,

    /// <summary>A host that sends mail may not by SPF: its address, and the result.</summary>
    SenderNotPermitted,

    /// <summary>A record of SPF comes near the bound of look-ups: how many it needs, and the bound.</summary>
    ManyLookUps,

    /// <summary>What is published where reports go to another organisation: that organisation's host.</summary>
    ReportsNeedConsent,

    /// <summary>There may be one record, and are several.</summary>
    SeveralRecords,

    /// <summary>A record of DMARC without a policy.</summary>
    NoPolicy,

    /// <summary>What is wrong with a record of DMARC: each fault.</summary>
    DmarcFaults,

    /// <summary>DMARC asks nobody to refuse what others forge.</summary>
    PolicyNone,

    /// <summary>The id of a record of MTA-STS is none.</summary>
    StsId,

    /// <summary>The host from which a policy of MTA-STS is fetched has no address: the host.</summary>
    StsHostWithoutAddress,

    /// <summary>A record of TLS-RPT says no place that reports can go to.</summary>
    TlsReportTargets,

    /// <summary>TLSA records are of use only where the zone is signed.</summary>
    NeedsDnssec,

    /// <summary>No TLSA record is one that counts for SMTP (RFC 7672 §3.1).</summary>
    NoUsableTlsa,

    /// <summary>TLSA records for which the resolver does not vouch.</summary>
    NotAuthenticated,

    /// <summary>The version of a record of DKIM: as it stands there, and as it must be.</summary>
    KeyVersion,

    /// <summary>A record of DKIM without a key.</summary>
    NoKey,

    KeyRevoked,

    KeyNotBase64,

    /// <summary>A key for tests: who fails by it counts as who does not sign.</summary>
    KeyForTests,

    /// <summary>A key of Ed25519 of another length: its octets, and those it has to have.</summary>
    KeyOctets,

    NotAnRsaKey,

    /// <summary>An RSA key that nobody takes (RFC 8301): its bits, and the least.</summary>
    KeyTooShort,

    /// <summary>An RSA key that is taken, and short: its bits, and the usual.</summary>
    KeyShort,

    /// <summary>A key of a kind that is not known: the kind.</summary>
    KeyKind,

    /// <summary>A policy of MTA-STS could not be fetched from here: the fault.</summary>
    StsNotFetched,

    /// <summary>Nobody gets a policy of MTA-STS that is announced: the fault.</summary>
    StsNotToBeHad,

    /// <summary>Hosts that a policy of MTA-STS does not name, so that who obeys it sends no mail there: the hosts.</summary>
    StsHostsShutOut,

    /// <summary>Hosts that a policy of MTA-STS does not name, which would shut them out with mode enforce: the hosts.</summary>
    StsHostsUnnamed,

    /// <summary>Mode none: the policy asks for nothing.</summary>
    StsNone,

    /// <summary>Mode testing: what fails is delivered all the same.</summary>
    StsTesting,

    /// <summary>A policy that was held against no host, because DNS did not say which take mail.</summary>
    StsHostsUnknown,

    /// <summary>A pattern of a policy that no MX of the domain meets: the pattern.</summary>
    StsIdlePattern,

    /// <summary>A policy that holds for a short time: its seconds, and the usual.</summary>
    StsShortAge,
}
