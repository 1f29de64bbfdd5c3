using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Routing;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// Says to a smarthost who we are (RFC 4954), before MAIL. Whatever stands in the way is the operator's to mend, and is temporary: no mail
/// fails for it.
/// </summary>
internal static class SmarthostLogin
{
    private const int Challenge = 334;
    private const int Authenticated = 235;

    /// <summary>Of a challenge: more than any mechanism has.</summary>
    private const int MaxSteps = 5;

    /// <summary>Null: the smarthost knows us.</summary>
    public static async Task<LoginFault?> TryAsync(SmtpClientConnection connection, Smarthost smarthost, TlsExporter exporter, TimeSpan timeout)
    {
        var (peer, setting) = (connection.Peer, $"{smarthost.Setting}:{nameof(SmarthostOptions.Credentials)}");
        // RFC 4954 §4: a password in clear is everybody's on the way.
        if (connection.Tls == "none" && !smarthost.AllowCleartextAuth)
            return new LoginFault("4.7.11", $"{peer} has no TLS, and our login may not travel without it", setting);
        SmarthostCredentials credentials;
        try
        {
            credentials = SmarthostCredentials.Read(smarthost.Credentials);
        }
        catch (InvalidDataException unfit)
        {
            return new LoginFault("4.7.8", $"Our login for {peer} cannot be used", $"{setting}: {unfit.Message}");
        }

        var offered = connection.Capabilities.AuthMechanisms;
        var clients = SaslClient.Choose(smarthost.Mechanism, offered, credentials, connection.Bindings(exporter));
        if (clients.Count == 0)
        {
            return new LoginFault(
                "4.7.9", offered.Count == 0
                    ? $"{peer} offers no AUTH, and we may not go without it"
                    : $"{peer} offers AUTH by {RemoteReply.Line(string.Join(", ", offered))}, and none of them is {Wanted(smarthost)}",
                setting);
        }

        var (client, reply) = await LogInAsync(connection, clients, timeout);
        var cause = $"{setting}, by {client.Name}";
        if (reply.Code != Authenticated)
            return new LoginFault(RemoteReply.TemporaryStatus(reply, "4.7.8"), $"{peer} does not take our login: {WithoutText(reply)}", cause);
        return client.IsServerProven
            ? null
            : new LoginFault("4.7.8", $"{peer} says that it knows us, but has not proven that it knows our password", cause);
    }

    /// <summary>
    /// A reply to AUTH in our words. There are hosts that repeat in theirs what they were sent, and that was the password, whole, cut or written
    /// otherwise.
    /// </summary>
    private static string WithoutText(SmtpReply reply)
    {
        var status = reply.Status is { } enhanced ? $" {enhanced}" : "";
        var meaning = reply.Code switch
        {
            // RFC 4954 §4.7, §6
            432 => "the password has to be changed",
            454 => "not now",
            500 or 502 => "it does not know AUTH",
            501 => "it does not understand the answer",
            504 => "it does not know the mechanism",
            534 => "it wants a stronger mechanism or another kind of password",
            535 => "the credentials are wrong",
            538 => "it wants TLS",
            _ => "its reply is no login",
        };
        return $"{reply.Code}{status} ({meaning})";
    }

    /// <summary>One after the other, as long as what the host refuses is not the secret but what it would be bound to. The last one, and its reply.</summary>
    private static async Task<(SaslClient Client, SmtpReply Reply)> LogInAsync(SmtpClientConnection connection, IReadOnlyList<SaslClient> clients, TimeSpan timeout)
    {
        for (var i = 0; ; i++)
        {
            var reply = await ExchangeAsync(connection, clients[i], timeout);
            if (i == clients.Count - 1 || !reply.IsPermanentFailure || clients[i].HasShownProof)
                return (clients[i], reply);
        }
    }

    private static string Wanted(Smarthost smarthost) => smarthost.Mechanism switch
    {
        SmarthostMechanism.ScramSha256Plus => "SCRAM-SHA-256-PLUS, over TLS that a login can be bound to",
        SmarthostMechanism.ScramSha256 => "SCRAM-SHA-256",
        SmarthostMechanism.Plain => "PLAIN",
        SmarthostMechanism.Login => "LOGIN",
        SmarthostMechanism.XOAuth2 => "XOAUTH2",
        _ => "SCRAM-SHA-256, PLAIN or LOGIN",
    };

    private static async Task<SmtpReply> ExchangeAsync(SmtpClientConnection connection, SaslClient client, TimeSpan timeout)
    {
        // RFC 4954 §4: an initial response that is empty is "=".
        var initial = client.Initial is { } first ? " " + (first.Length == 0 ? "=" : Convert.ToBase64String(first)) : "";
        var reply = await SayAsync($"AUTH {client.Mechanism}{initial}");
        for (var step = 0; reply.Code == Challenge && step < MaxSteps; step++)
        {
            var answer = TryDecode(reply) is { } challenge ? client.Answer(challenge) : null;
            reply = await SayAsync(answer is null ? "*" : Convert.ToBase64String(answer));
        }

        return reply;

        async Task<SmtpReply> SayAsync(string line)
        {
            await connection.WriteLineAsync(line, timeout);
            await connection.FlushAsync(timeout);
            return await connection.ReadReplyAsync(SmtpClientConnection.Auth, timeout);
        }
    }

    private static byte[]? TryDecode(SmtpReply challenge)
    {
        var text = challenge.Lines.Count == 1 ? challenge.Lines[0].Trim() : "";
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var length) ? bytes[..length] : null;
    }
}

/// <summary>Why there is no login.</summary>
/// <param name="Text">As it may be read by those whose mail waits for it: nothing of our settings, and of the host's words nothing that could be our secret.</param>
/// <param name="Cause">What the operator has to look at, for the log.</param>
internal sealed record LoginFault(string Status, string Text, string Cause);
