using System.Diagnostics;
using MailPipeline.Administration;

namespace MailPipeline.Commands;

/// <summary>Remarks on what is published, in words.</summary>
internal static class RemarkWords
{
    public static string Of(IReadOnlyList<PublishedRemark> remarks) => string.Join("; ", remarks.Select(Of));

    public static string Of(PublishedRemark remark) => remark switch
    {
        { Kind: RemarkKind.NoAnswer, Values: [var fault] } => $"DNS gave no answer: {fault}",
        { Kind: RemarkKind.TakesNoMail } => "it says that the domain takes no mail",
        { Kind: RemarkKind.NotAmongThem, Values: var hosts } => $"{All(hosts)} is not among them",
        { Kind: RemarkKind.ForwardedComesBack } => "what forwarded mail is refused for comes back there (Srs:Domain)",
        { Kind: RemarkKind.ForwardedGoesElsewhere } => "none of the hosts is among them, and what comes back to senders of forwarded mail goes elsewhere",
        { Kind: RemarkKind.NotReachable, Values: var addresses } => $"nobody else reaches {All(addresses)}",
        { Kind: RemarkKind.OwnerPublishesIt, Values: [var address] } => $"of {address}; who has the network publishes it",
        { Kind: RemarkKind.LeadsNotBack, Values: [var address] } => $"no such name leads back to {address}",
        { Kind: RemarkKind.AnybodyMaySend } => "anybody may send mail of the domain by it",
        { Kind: RemarkKind.SaysNothingOfOthers } => "it says nothing of others; with -all or ~all at its end it would",
        { Kind: RemarkKind.SpfFault, Values: [var fault] } => fault,
        { Kind: RemarkKind.SenderNotPermitted, Values: [var address, var result] } => $"{address} is {result} by it, and sends mail",
        { Kind: RemarkKind.ManyLookUps, Values: [var number, var most] } => $"it asks DNS {number} times, of {most} that it may",
        { Kind: RemarkKind.ReportsNeedConsent, Values: [var host] } => $"without it no reports are sent to {host}, who publishes it",
        { Kind: RemarkKind.SeveralRecords } => "there may be one record",
        { Kind: RemarkKind.NoPolicy } => "it names no policy (p=none, quarantine or reject)",
        { Kind: RemarkKind.DmarcFaults, Values: var faults } => string.Join("; ", faults),
        { Kind: RemarkKind.PolicyNone } => "nobody is asked to refuse what others forge (p=none)",
        { Kind: RemarkKind.StsId } => "its id must be 1 to 32 letters and digits",
        { Kind: RemarkKind.StsHostWithoutAddress, Values: [var host] } => $"{host}, from which the policy is fetched by HTTPS, has no address",
        { Kind: RemarkKind.TlsReportTargets } => "its rua must be mailto: or https:",
        { Kind: RemarkKind.NeedsDnssec } => "only where the zone is signed by DNSSEC",
        { Kind: RemarkKind.NoUsableTlsa } =>
            "none of them can be used for SMTP: usage 2 or 3, selector 0 or 1, matching type 1 with 32 octets, 2 with 64, or 0",
        { Kind: RemarkKind.NotAuthenticated } => "the resolver does not vouch for it by DNSSEC, and nobody uses it then",
        { Kind: RemarkKind.KeyVersion, Values: [var version, var wanted] } => $"v is '{version}', and must be {wanted}",
        { Kind: RemarkKind.NoKey } => "it has no key (p)",
        { Kind: RemarkKind.KeyRevoked } => "the key is revoked (p is empty)",
        { Kind: RemarkKind.KeyNotBase64 } => "its key (p) is not Base64",
        { Kind: RemarkKind.KeyForTests } => "it is for tests (t=y): who fails is treated as who does not sign",
        { Kind: RemarkKind.KeyOctets, Values: [var octets, var wanted] } => $"its key has {octets} octets, and Ed25519 has {wanted}",
        { Kind: RemarkKind.NotAnRsaKey } => "its key is no RSA key",
        { Kind: RemarkKind.KeyTooShort, Values: [var bits, var least] } => $"its key has {bits} bits, and nobody takes less than {least} (RFC 8301)",
        { Kind: RemarkKind.KeyShort, Values: [var bits, var usual] } => $"its key has {bits} bits; {usual} are usual",
        { Kind: RemarkKind.KeyKind, Values: [var kind] } => $"k is '{kind}', and must be rsa or ed25519",
        { Kind: RemarkKind.StsNotFetched, Values: [var fault] } => $"it could not be fetched from here: {fault}",
        { Kind: RemarkKind.StsNotToBeHad, Values: [var fault] } => $"nobody gets it: {fault}",
        { Kind: RemarkKind.StsHostsShutOut, Values: var hosts } => $"no mx of it names {All(hosts)}: who obeys it sends no mail there",
        { Kind: RemarkKind.StsHostsUnnamed, Values: var hosts } => $"no mx of it names {All(hosts)}: with mode enforce nobody who obeys it would send mail there",
        { Kind: RemarkKind.StsNone } => "it asks for nothing (mode none)",
        { Kind: RemarkKind.StsTesting } => "what fails is delivered all the same (mode testing)",
        { Kind: RemarkKind.StsHostsUnknown } => "its mx are held against no host: DNS does not say which take mail",
        { Kind: RemarkKind.StsIdlePattern, Values: [var pattern] } => $"{pattern} is no MX of the domain",
        { Kind: RemarkKind.StsShortAge, Values: [var seconds, var usual] } => $"it holds for {seconds} s; weeks are usual ({usual})",
        _ => throw new UnreachableException($"{remark.Kind} with {remark.Values.Count} values has no words"),
    };

    private static string All(IReadOnlyList<string> names) => string.Join(", ", names);
}
