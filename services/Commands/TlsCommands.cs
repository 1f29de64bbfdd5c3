using System.CommandLine;
using System.Diagnostics;
using MailPipeline.Administration;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>What other domains want of TLS, as far as the servers know it.</summary>
internal static class TlsCommands
{
    private const int MaxPolicies = 200;

    public static Command Tls(CommandTree tree)
    {
        var domain = new Argument<string>("DOMAIN") { Description = "the domain whose policy it is" };
        return CommandTree.Group("tls", "policies of other domains for TLS (MTA-STS) that the servers have fetched",
            tree.Create("list", "the policies that are known, and until when they hold", async (store, _, cancellation) =>
                Of(await store.Tls.ListAsync(MaxPolicies, cancellation))),
            tree.Create("forget", "forget a domain's policy; within minutes it holds no longer, unless the domain still publishes it", async (store, line, _) =>
                Of(await store.Tls.ForgetAsync(line.GetRequiredValue(domain), tree.OperatorOf(line))), makes: false, domain));
    }

    internal static Reply Of(TlsPolicyResult result) => result switch
    {
        TlsPolicyForgotten { Domain: var domain } => Reply.Say(result.Status, "tlsPolicyForgotten",
            $"The policy of {OneLine(domain)} is forgotten; the servers notice within five minutes", json => json.WriteString("domain", domain)),
        NoSuchTlsPolicy { Domain: var domain } => Reply.Say(result.Status, "noSuchTlsPolicy",
            $"No policy of {OneLine(domain)} is known", json => json.WriteString("domain", domain)),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    internal static Reply Of(TlsPolicyList list) => Reply.Show("tlsPolicies", [.. Parts(list)], json =>
    {
        json.WriteAll("policies", list.Policies, policy =>
        {
            json.WriteString("domain", policy.Domain);
            json.WriteString("id", policy.RecordId);
            json.WriteStrings("policy", policy.Text.Split('\n'));
            json.WriteTime("fetchedAt", policy.FetchedAt);
            json.WriteTime("expiresAt", policy.ExpiresAt);
            json.WriteTime("usedAt", policy.UsedAt);
        });
        json.WriteBoolean("morePolicies", list.HasMore);
    });

    private static IEnumerable<ReplyPart> Parts(TlsPolicyList list)
    {
        if (list.Policies.Count == 0)
        {
            yield return new LinePart("No policies are known");
            yield break;
        }

        yield return new TablePart(
            ["domain", "mode", "hosts", "fetched", "holds until", "last used"],
            [.. list.Policies.Select(policy => (string[])
            [
                Name(policy.Domain), OneLine(string.Join(' ', Fields(policy.Text, "mode"))), OneLine(string.Join(", ", Fields(policy.Text, "mx"))), Second(policy.FetchedAt),
                Second(policy.ExpiresAt), Second(policy.UsedAt),
            ])]);
        if (list.HasMore)
            yield return new LinePart($"... and more; the first {Number(list.Policies.Count)} are shown");
    }

    private static IEnumerable<string> Fields(string policy, string name) =>
        policy.Split('\n').Where(line => line.StartsWith($"{name}: ", StringComparison.Ordinal)).Select(line => line[(name.Length + 2)..]);
}
