using System.Net;
using MailPipeline.Smtp;

namespace MailPipeline.Authentication.Spf;

/// <summary>Which name of a client's is asked about (RFC 7208 §2.3, §2.4).</summary>
public enum SpfIdentity
{
    Helo,
    MailFrom,
}

/// <summary>May this client use this name?</summary>
/// <param name="Client">Its address; IPv4 that came through a socket of IPv6 is IPv4 (RFC 7208 §5).</param>
/// <param name="Helo">What it greets with.</param>
/// <param name="LocalPart">Of the sender, without quotes.</param>
/// <param name="Domain">Of the sender, in A-labels (RFC 8616 §4).</param>
public sealed record SpfQuestion(IPAddress Client, string Helo, SpfIdentity Identity, string LocalPart, string Domain)
{
    /// <summary>RFC 7208 §2.4, §4.3: where there is no local part.</summary>
    private const string NoLocalPart = "postmaster";

    /// <summary>The host that asks, for %{r}.</summary>
    public string Receiver { get; init; } = "unknown";

    /// <summary>For %{t}.</summary>
    public DateTimeOffset Now { get; init; }

    public static SpfQuestion OfHelo(IPAddress client, string helo) =>
        new(Plain(client), helo, SpfIdentity.Helo, NoLocalPart, Name(helo));

    /// <param name="client">Its address.</param>
    /// <param name="helo">What it greets with.</param>
    /// <param name="sender">The reverse-path; null for the null path, in whose place postmaster of the greeting stands (RFC 7208 §2.4).</param>
    public static SpfQuestion OfSender(IPAddress client, string helo, SmtpAddress? sender) => sender is null
        ? OfHelo(client, helo) with { Identity = SpfIdentity.MailFrom }
        : new(Plain(client), helo, SpfIdentity.MailFrom, sender.LocalPart.Length > 0 ? sender.LocalPart : NoLocalPart, Name(sender.Domain));

    private static string Name(string domain) => domain.EndsWith('.') ? domain[..^1] : domain;

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
