using System.Net;
using System.Net.Sockets;
using System.Text;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Spf;

/// <summary>What one record says, or why nobody can say it.</summary>
/// <param name="Mechanism">The term that decided.</param>
internal readonly record struct SpfFinding(AuthenticationStatus Status, string Mechanism = "", string Reason = "", SpfLimit Limit = SpfLimit.None)
{
    /// <summary>Where the explanation stands, of the record in which a fail was found: never of one that is included (RFC 7208 §6.2).</summary>
    public SpfMacro? Explanation { get; init; }

    /// <summary>Whose record that is.</summary>
    public string Domain { get; init; } = "";

    public bool IsError => Status is AuthenticationStatus.TemporaryError or AuthenticationStatus.PermanentError;
}

/// <summary>One question on its way through the records of several domains, with what it has cost so far.</summary>
internal sealed class SpfRun(IDnsLookup dns, SpfLimits limits, SpfQuestion question, ICollection<SpfStep>? steps, CancellationToken deadline)
{
    private readonly SpfClientNames _names = new(dns, limits, question.Client, deadline);
    private int _voids;

    public int LookUps { get; private set; }

    /// <summary>RFC 7208 §4.4 to §4.7: finds the record of a domain and does what it says.</summary>
    public async Task<SpfFinding> CheckHostAsync(string domain, int depth)
    {
        if (!SpfCheck.IsName(domain))
            return Said(new(AuthenticationStatus.None, Reason: "not a domain name of two parts or more"), domain, depth);
        var answer = await dns.TxtAsync(domain, deadline);
        if (answer.Status == DnsStatus.Failed)
            return Said(new(AuthenticationStatus.TemporaryError, Reason: $"DNS gave no answer for TXT {domain}: {answer.Error}"), domain, depth);
        var texts = answer.Records.Where(record => SpfRecord.IsOne(record.Text)).ToList();
        if (texts.Count != 1)
        {
            return Said(texts.Count == 0
                ? new(AuthenticationStatus.None, Reason: "no SPF record")
                : new(AuthenticationStatus.PermanentError, Reason: $"{texts.Count} SPF records"), domain, depth);
        }

        var text = texts[0].Text;
        if (text.Length > SpfLimits.MaxRecordBytes)
        {
            return Said(
                new(AuthenticationStatus.PermanentError, Reason: $"the record has more than {SpfLimits.MaxRecordBytes} octets", Limit: SpfLimit.RecordSize),
                domain, depth);
        }

        Say(depth, domain, text);
        var (record, fault) = SpfRecord.Parse(text);
        var finding = record is null
            ? new(AuthenticationStatus.PermanentError, Reason: $"'{fault}' is no term of an SPF record")
            : await EvaluateAsync(record, domain, depth);
        return Said(finding, domain, depth);
    }

    /// <summary>RFC 7208 §6.2: what the domain says to who was refused; empty where it says nothing that can be shown.</summary>
    public async Task<string> ExplainAsync(SpfFinding fail)
    {
        if (fail.Explanation is not { } where || await ExpandAsync(where, fail.Domain) is not { } name)
            return "";
        var answer = await dns.TxtAsync(name, deadline);
        if (answer.Records is not [{ Text.Length: <= SpfLimits.MaxRecordBytes } record]
            || SpfMacro.Parse(record.Text, SpfMacroPlace.Explanation) is not { } macro || (macro.UsesLocalPart && !Ascii.IsValid(question.LocalPart)))
            return "";
        if (macro.UsesClientName)
            await _names.FindAsync();
        var text = macro.ToText(letter => ValueOf(letter, fail.Domain));
        // What a local part or a greeting brings may hold anything.
        if (text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            return "";
        return text.Length > SpfLimits.MaxExplanationBytes ? text[..SpfLimits.MaxExplanationBytes] : text;
    }

    private async Task<SpfFinding> EvaluateAsync(SpfRecord record, string domain, int depth)
    {
        foreach (var directive in record.Directives)
        {
            var (isMatch, end) = await MatchAsync(directive, domain, depth);
            if (end is { } error)
                return error with { Mechanism = directive.Text };
            if (isMatch)
                return new(directive.Result, directive.Text) { Explanation = record.Explanation, Domain = domain };
        }

        // RFC 7208 §4.7
        if (record.Redirect is not { } redirect)
            return new(AuthenticationStatus.Neutral, Reason: "nothing in the record matches");
        if (CountLookUp(redirect) is { } tooMany)
            return tooMany;
        if (await ExpandAsync(redirect, domain) is not { } target)
            return new(AuthenticationStatus.Neutral, Reason: "nothing in the record matches");
        Say(depth, domain, $"redirect to {target}");
        var found = await CheckHostAsync(target, depth + 1);
        // RFC 7208 §6.1
        return found.Status == AuthenticationStatus.None
            ? new(AuthenticationStatus.PermanentError, Reason: $"redirect to {target}, which has no SPF record")
            : found;
    }

    /// <returns>Whether the mechanism matches, or what ends all of it.</returns>
    private async Task<(bool IsMatch, SpfFinding? End)> MatchAsync(SpfDirective directive, string domain, int depth)
    {
        switch (directive.Mechanism)
        {
            case SpfMechanism.All:
                return (true, null);
            case SpfMechanism.IPv4 or SpfMechanism.IPv6:
                return (SpfNetwork.Contains(directive, directive.Network!, question.Client), null);
        }

        if (CountLookUp(directive.Domain) is { } tooMany)
            return (false, tooMany);
        var target = directive.Domain is null ? domain : await ExpandAsync(directive.Domain, domain);
        if (target is null)
            return (false, null);
        var (isMatch, end) = directive.Mechanism switch
        {
            SpfMechanism.Include => await IncludeAsync(target, depth),
            SpfMechanism.A => await MatchAddressAsync(directive, target),
            SpfMechanism.Mx => await MatchExchangesAsync(directive, target),
            SpfMechanism.Exists => await ExistsAsync(target),
            _ => await MatchNamesAsync(target),
        };
        if (end is null && steps is not null)
        {
            var expanded = directive.Text.Contains('%', StringComparison.Ordinal) ? $" ({target})" : "";
            Say(depth, domain, $"{directive.Text}{expanded}: {(isMatch ? "matches" : "does not match")}");
        }

        return (isMatch, end);
    }

    // RFC 7208 §5.2
    private async Task<(bool, SpfFinding?)> IncludeAsync(string target, int depth)
    {
        var found = await CheckHostAsync(target, depth + 1);
        return found.Status switch
        {
            AuthenticationStatus.Pass => (true, null),
            AuthenticationStatus.None => (false, new(AuthenticationStatus.PermanentError, Reason: $"{target}, which is included, has no SPF record")),
            _ when found.IsError => (false, found),
            _ => (false, null),
        };
    }

    // RFC 7208 §5.3
    private async Task<(bool, SpfFinding?)> MatchAddressAsync(SpfDirective directive, string target)
    {
        var (addresses, error) = await AddressesAsync(target);
        if (error is not null)
            return (false, error);
        return addresses.Count == 0 ? (false, CountVoid(target)) : (addresses.Any(address => SpfNetwork.Contains(directive, address, question.Client)), null);
    }

    // RFC 7208 §5.4
    private async Task<(bool, SpfFinding?)> MatchExchangesAsync(SpfDirective directive, string target)
    {
        var answer = await dns.MxAsync(target, deadline);
        if (answer.Status == DnsStatus.Failed)
            return (false, NoAnswer("MX", target, answer.Error));
        var hasAddresses = false;
        for (var i = 0; i < answer.Records.Count; i++)
        {
            // RFC 7208 §4.6.4
            if (i == limits.MxHosts)
                return (false, new(AuthenticationStatus.PermanentError, Reason: $"{target} has more than {limits.MxHosts} MX", Limit: SpfLimit.MxHosts));
            var (addresses, error) = await AddressesAsync(answer.Records[i].Host);
            if (error is not null)
                return (false, error);
            hasAddresses |= addresses.Count > 0;
            if (addresses.Any(address => SpfNetwork.Contains(directive, address, question.Client)))
                return (true, null);
        }

        return (false, hasAddresses ? null : CountVoid(target));
    }

    // RFC 7208 §5.7: the type is A, whatever the client's address is.
    private async Task<(bool, SpfFinding?)> ExistsAsync(string target)
    {
        var answer = await dns.IPv4Async(target, deadline);
        return answer.Status switch
        {
            DnsStatus.Failed => (false, NoAnswer("A", target, answer.Error)),
            DnsStatus.Found => (true, null),
            _ => (false, CountVoid(target)),
        };
    }

    // RFC 7208 §5.5: without an answer it does not match.
    private async Task<(bool, SpfFinding?)> MatchNamesAsync(string target)
    {
        await _names.FindAsync();
        return _names.AreThere ? (_names.HasWithin(target), null) : (false, _names.IsVoid ? CountVoid(target) : null);
    }

    private async Task<(IReadOnlyList<IPAddress> Addresses, SpfFinding? Error)> AddressesAsync(string host)
    {
        var isIPv6 = question.Client.AddressFamily == AddressFamily.InterNetworkV6;
        if (host.Length == 0)
            return ([], null);
        var answer = isIPv6 ? await dns.IPv6Async(host, deadline) : await dns.IPv4Async(host, deadline);
        return answer.Status == DnsStatus.Failed ? ([], NoAnswer(isIPv6 ? "AAAA" : "A", host, answer.Error)) : (answer.Records, null);
    }

    private static SpfFinding NoAnswer(string type, string name, string error) =>
        new(AuthenticationStatus.TemporaryError, Reason: $"DNS gave no answer for {type} {name}: {error}");

    /// <summary>RFC 7208 §4.6.4: a term, and beside it the names of the client where its domain has %{p}.</summary>
    private SpfFinding? CountLookUp(SpfMacro? domain)
    {
        LookUps += domain is { UsesClientName: true } ? 2 : 1;
        return LookUps > limits.LookUps
            ? new(AuthenticationStatus.PermanentError, Reason: $"more than {limits.LookUps} terms that ask DNS", Limit: SpfLimit.LookUps)
            : null;
    }

    /// <summary>Counts terms that found nothing, whatever they asked for: that a host has no IPv6 is no fault of its domain's record.</summary>
    private SpfFinding? CountVoid(string name) => ++_voids > limits.VoidLookUps
        ? new(
            AuthenticationStatus.PermanentError, Reason: $"more than {limits.VoidLookUps} terms that find nothing in DNS, the last one for {name}",
            Limit: SpfLimit.VoidLookUps)
        : null;

    /// <summary>Null: the term matches nothing (RFC 8616 §4).</summary>
    private async Task<string?> ExpandAsync(SpfMacro macro, string domain)
    {
        if (macro.UsesLocalPart && !Ascii.IsValid(question.LocalPart))
            return null;
        if (macro.UsesClientName)
            await _names.FindAsync();
        return macro.ToName(letter => ValueOf(letter, domain));
    }

    // RFC 7208 §7.2
    private string ValueOf(char letter, string domain) => letter switch
    {
        's' => $"{question.LocalPart}@{question.Domain}",
        'l' => question.LocalPart,
        'o' => question.Domain,
        'd' => domain,
        'i' => SpfNetwork.Dotted(question.Client),
        'p' => _names.Best(domain),
        'v' => question.Client.AddressFamily == AddressFamily.InterNetworkV6 ? "ip6" : "in-addr",
        'h' => question.Helo,
        'c' => question.Client.ToString(),
        'r' => question.Receiver,
        _ => $"{question.Now.ToUnixTimeSeconds()}",
    };

    private void Say(int depth, string domain, string text) => steps?.Add(new SpfStep(depth, domain, text));

    private SpfFinding Said(SpfFinding finding, string domain, int depth)
    {
        if (steps is not null)
        {
            var why = finding.Reason.Length > 0 ? $" ({finding.Reason})" : finding.Mechanism.Length > 0 ? $" by {finding.Mechanism}" : "";
            Say(depth, domain, $"{AuthenticationWords.Of(finding.Status)}{why}");
        }

        return finding;
    }
}
