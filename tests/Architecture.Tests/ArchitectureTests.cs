using System.Reflection;
using MailPipeline.Architecture.Tests.Rules;

namespace MailPipeline.Architecture.Tests;

/// <summary>The rules of the house, held against the repository, and each held against a breach.</summary>
public sealed class ArchitectureTests
{
    private static readonly Lazy<Tree> Repository = new(Tree.Load);

    public static TheoryData<string> RuleNames => [.. RuleTable.All.Select(rule => rule.Name).Distinct()];

    public static TheoryData<int, string> Breaches
    {
        get
        {
            var breaches = new TheoryData<int, string>();
            for (var index = 0; index < RuleTable.All.Count; index++)
                breaches.Add(index, RuleTable.All[index].Name);
            return breaches;
        }
    }

    [Theory, MemberData(nameof(RuleNames))]
    public void The_repository_keeps(string rule)
    {
        var complaints = RuleTable.All.First(row => row.Name == rule).Check(Repository.Value).ToArray();
        Assert.True(complaints.Length == 0, string.Join('\n', complaints));
    }

    [Theory, MemberData(nameof(Breaches))]
    public void A_breach_is_found_and_a_mended_one_is_not(int index, string rule)
    {
        Assert.Equal(rule, RuleTable.All[index].Name);
        var row = RuleTable.All[index];
        Assert.Contains(row.Expected, Assert.Single(row.Check(TreeOf(row.Broken))), StringComparison.Ordinal);
        if (row.Mended.Length > 0)
            Assert.Empty(row.Check(TreeOf(row.Mended)));
    }

    [Fact]
    public void Every_rule_that_is_written_is_in_the_table()
    {
        var written = new[] { typeof(ReferenceRules), typeof(SolutionRules), typeof(NameRules), typeof(RoomRules), typeof(StatementRules), typeof(SourceRules), typeof(DocumentationRules) }
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly))
            .Select(method => method.Name);
        Assert.Empty(written.Except(RuleTable.All.Select(rule => rule.Name)));
    }

    [Fact]
    public void What_rooms_may_use_makes_no_circle() => Assert.Empty(RoomRules.CirclesAllowed());

    [Fact]
    public void The_repository_is_really_read()
    {
        var tree = Repository.Value;
        Assert.Contains(tree.Projects, project => project.Path == "services/Mailbox/Mailbox.csproj" && project.References.Contains("shared/Smtp/Smtp.csproj"));
        Assert.True(tree.Sources("services").Count() > 20);
        Assert.DoesNotContain(tree.Files.Keys, path => path.Contains("/obj/", StringComparison.Ordinal));
    }

    private static Tree TreeOf((string Path, string Text)[] files) => new(files.ToDictionary(file => file.Path, file => file.Text));
}
