using System.ComponentModel.DataAnnotations;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns;

/// <summary>Settings of the section "Dns"; each is described in the README of this folder.</summary>
public sealed class DnsOptions
{
    public const string Section = "Dns";

    /// <summary>DNS servers as address or address:port. Default: those of the machine.</summary>
    public TextList Servers { get; set; } = [];

    /// <summary>How long one question may take at one server. Default: 3 s; mail is tried again, so waiting longer gains nothing.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Repetitions of an unanswered question at each server. Default: 1.</summary>
    [Range(0, 10)]
    public int Retries { get; set; } = 1;

    /// <summary>
    /// Questions under way at once, each with a socket of its own; others wait for their turn. Default: 10,000, a sixth of the
    /// descriptors that a process should be allowed (LimitNOFILE=65536).
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxQuestions { get; set; } = 10_000;

    /// <summary>Longest time an answer is remembered, whatever its TTL says. Default: 15 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan CacheTime { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>
    /// What remembered answers may take of memory, and the addresses that Delivery remembers by host as much again. Default: 16 MiB, some
    /// 25,000 domains.
    /// </summary>
    [Range(100_000L, 1_000_000_000_000L)]
    public long CacheBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>
    /// How long a question without an answer is not asked again; twice as long after each further failure, up to eight times, or five
    /// minutes if that is shorter. Default: 20 s, so that the longest, 160 s, is over before the queue's first retry.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan FailureTime { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// The servers validate by DNSSEC, and nobody but they can answer in their name: what they say of it (the AD bit) may be relied on. Default: false; anybody
    /// between here and a server elsewhere could set the bit, so that it is worth something of a resolver on this machine or behind a trusted link alone
    /// (RFC 7672 §2.1.1).
    /// </summary>
    public bool Validating { get; set; }

    /// <summary>So long an answer may be remembered that says it may for this long.</summary>
    public TimeSpan Bounded(TimeSpan timeToLive) => timeToLive < CacheTime ? timeToLive : CacheTime;
}

/// <summary>Checks ranges; says setting, value and what is allowed.</summary>
[OptionsValidator]
internal sealed partial class DnsOptionsValidator : IValidateOptions<DnsOptions>;

/// <summary>Checks what attributes cannot say.</summary>
internal sealed class DnsServersValidator : IValidateOptions<DnsOptions>
{
    public ValidateOptionsResult Validate(string? name, DnsOptions options)
    {
        List<string> errors = [.. options.Servers
            .Where(server => !DnsLookup.TryParseServer(server, out _))
            .Select(server => $"Dns:Servers has '{server}'; expected an IP address or address:port, for example 127.0.0.1:5353.")];
        return errors.Count > 0 ? ValidateOptionsResult.Fail(errors) : ValidateOptionsResult.Success;
    }
}
