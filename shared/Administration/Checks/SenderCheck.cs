using System.Net;
using MailPipeline.Authentication.Spf;
using MailPipeline.Dns;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>Asks about SPF as a listener does, and says how the answer came.</summary>
public sealed class SenderCheck(IDnsLookup dns, TimeProvider time)
{
    /// <param name="client">The client's address.</param>
    /// <param name="helo">What it greets with.</param>
    /// <param name="from">The sender of the envelope; empty or "&lt;&gt;" for the null path.</param>
    /// <returns><see cref="SenderChecked"/>, or what was mistyped.</returns>
    public async Task<CheckResult> CheckAsync(string client, string helo, string from, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(from);
        if (!HostAddress.TryParseLiteral(client, out var address))
            return new CheckMistyped(CheckedThing.Client, client);
        if (!TryReadSender(from, out var sender))
            return new CheckMistyped(CheckedThing.Sender, from);
        return await CheckAsync(address, helo, sender, cancellation);
    }

    internal async Task<SenderChecked> CheckAsync(IPAddress client, string helo, SmtpAddress? sender, CancellationToken cancellation)
    {
        var check = new SpfCheck(dns);
        List<SpfStep> steps = [], heloSteps = [];
        var mailFrom = await check.CheckAsync(SpfQuestion.OfSender(client, helo, sender) with { Now = time.GetUtcNow() }, steps, cancellation);
        var greeting = sender is null
            ? mailFrom : await check.CheckAsync(SpfQuestion.OfHelo(client, helo) with { Now = time.GetUtcNow() }, heloSteps, cancellation);
        cancellation.ThrowIfCancellationRequested();
        return new SenderChecked(mailFrom, greeting, steps, heloSteps);
    }

    /// <summary>Null: the null path.</summary>
    internal static bool TryReadSender(string text, out SmtpAddress? sender)
    {
        text = text is ['<', .. var inner, '>'] ? inner : text;
        sender = null;
        return text.Length == 0 || (SmtpAddress.TryParse(text, out sender, allowUtf8: true) && sender!.HasDomain);
    }
}
