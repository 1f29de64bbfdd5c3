using System.Diagnostics;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>Bans, in words and as JSON.</summary>
internal static class BanReply
{
    public static Reply Of(BanResult result) => result switch
    {
        BanAdded { Ban: var ban } => Reply.Say(result.Status, "banAdded",
            $"Nobody from {ban.Network} is served until {Second(ban.Until)}; within seconds all servers know it", json => Write(json, ban)),
        BanLifted { Lifted: var ban } => Reply.Say(result.Status, "banLifted",
            $"{ban.Network} is served again; it was banned since {Second(ban.Since)} by {OneLine(ban.SetBy)}", json => Write(json, ban)),
        NoSuchBan { Network: var network } => Reply.Say(result.Status, "noSuchBan",
            $"{network} is not banned; 'ban list' shows the networks as they are", json => json.WriteString("network", network)),
        NotANetwork { Typed: var typed } => Reply.Say(result.Status, "notANetwork",
            $"'{OneLine(typed)}' is no IP address and no network from /8 on (IPv6: /16)", static _ => { }),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    public static Reply Of(BansFound found) => Reply.Show("bans", [.. Parts(found)], json =>
    {
        json.WriteAll("bans", found.Bans, ban => Write(json, ban));
        json.WriteBoolean("more", found.HasMore);
    });

    private static IEnumerable<ReplyPart> Parts(BansFound found)
    {
        if (found.Bans.Count == 0)
        {
            yield return new LinePart("Nobody is banned");
            yield break;
        }

        yield return new TablePart(
            ["network", "since", "until", "set by", "reason"],
            [.. found.Bans.Select(ban => (string[])[ban.Network.ToString(), Second(ban.Since), Second(ban.Until), OneLine(ban.SetBy), OneLine(ban.Reason)])]);
        if (found.HasMore)
            yield return new LinePart($"... and more; the {Number(found.Bans.Count)} that last longest are shown");
    }

    private static void Write(Utf8JsonWriter json, Ban ban)
    {
        json.WriteString("network", ban.Network.ToString());
        json.WriteTime("since", ban.Since);
        json.WriteTime("until", ban.Until);
        json.WriteString("setBy", ban.SetBy);
        json.WriteString("reason", ban.Reason);
    }
}
