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

    /// <summary>Null: the smarthost knows us. Otherwise the status and the words for the operator.</summary>
    public static async Task<(string Status, string Text)?> TryAsync(SmtpClientConnection connection, Smarthost smarthost, TlsExporter exporter, TimeSpan timeout)
    {
        var setting = $"{smarthost.Setting}:{nameof(SmarthostOptions.Credentials)}";
        // RFC 4954 §4: a password in clear is everybody's on the way.
        if (connection.Tls == "none" && !smarthost.AllowCleartextAuth)
            return ("4.7.11", $"{connection.Peer} has no TLS, and {setting} may not travel without it");
        SmarthostCredentials credentials;
        try
        {
            credentials = SmarthostCredentials.Read(smarthost.Credentials);
        }
        catch (InvalidDataException unfit)
        {
            return ("4.7.8", $"{setting} cannot be used: {unfit.Message}");
        }

        var offered = connection.Capabilities.AuthMechanisms;
        var clients = SaslClient.Choose(smarthost.Mechanism, offered, credentials, connection.Bindings(exporter));
        if (clients.Count == 0)
        {
            return ("4.7.9", offered.Count == 0
                ? $"{connection.Peer} offers no AUTH, and there are credentials for it ({setting})"
                : $"{connection.Peer} offers AUTH by {RemoteReply.Line(string.Join(", ", offered))}, and none of them is {Wanted(smarthost)}");
        }

        var (client, reply) = await LogInAsync(connection, clients, timeout);
        if (reply.Code != Authenticated)
            return (RemoteReply.TemporaryStatus(reply, "4.7.8"), $"{connection.Peer} does not take the credentials in {setting} ({client.Name}): {RemoteReply.Line(reply)}");
        return client.IsServerProven
            ? null
            : ("4.7.8", $"{connection.Peer} says that it knows us, but has not proven that it knows the password in {setting} ({client.Name})");
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
            return await connection.ReadReplyAsync("AUTH", timeout);
        }
    }

    private static byte[]? TryDecode(SmtpReply challenge)
    {
        var text = challenge.Lines.Count == 1 ? challenge.Lines[0].Trim() : "";
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var length) ? bytes[..length] : null;
    }
}
