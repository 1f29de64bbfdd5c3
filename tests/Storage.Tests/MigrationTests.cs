using MailPipeline.Storage.Postgres;
using MailPipeline.Storage.Sqlite;

namespace MailPipeline.Storage.Tests;

/// <summary>What becomes of a store when a program comes that knows more of the schema, or less.</summary>
public abstract partial class EngineTests
{
    /// <summary>Statements of every kind that an entry may have; the last fails where it is run a second time.</summary>
    private static readonly string[] s_further =
    [
        "CREATE TABLE colours (id {id}, name TEXT NOT NULL)",
        "ALTER TABLE domains ADD COLUMN colour BIGINT NOT NULL DEFAULT 7",
        "CREATE INDEX domains_colour ON domains (colour)",
        "INSERT INTO colours (id, name) VALUES (7, 'grey')",
    ];

    private static int Known => Migrations.All.Length;

    private static Migrations Next(int oldestProgram, params string[] statements) => new([.. Migrations.All, statements], oldestProgram);

    [Fact]
    public async Task A_further_entry_is_applied_once_to_a_store_with_data_however_many_processes_come_at_once()
    {
        await RunAsync("INSERT INTO domains (name, created_at) VALUES ('example.org', 1)");

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => OpenWithAsync(Next(Known, s_further)), Cancellation)));

        Assert.Equal(Known + 1L, await VersionAsync());
        Assert.Equal("example.org grey", await RunAsync("SELECT domains.name || ' ' || colours.name FROM domains JOIN colours ON colours.id = domains.colour"));
        // Who comes later finds nothing to do.
        await OpenWithAsync(Next(Known, s_further));
        Assert.Equal(1L, await RunAsync("SELECT COUNT(*) FROM colours"));
    }

    [Fact]
    public async Task A_store_that_is_new_gets_all_entries()
    {
        var options = await CreateAsync();
        if (Database.SingleProcess)
            options.ConnectionString = options.ConnectionString.Replace("mail.db", "other.db", StringComparison.Ordinal);
        await OpenWithAsync(Next(Known, s_further), options);
        await OpenWithAsync(Next(Known, s_further), options);
    }

    [Fact]
    public async Task A_further_entry_that_fails_leaves_the_store_as_it_was()
    {
        await RunAsync("INSERT INTO domains (name, created_at) VALUES ('example.org', 1)");

        await Assert.ThrowsAnyAsync<Exception>(() => OpenWithAsync(Next(Known, [.. s_further, "INSERT INTO colours (id, name) VALUES (7, 'grey')"])));

        Assert.Equal((long)Known, await VersionAsync());
        await Assert.ThrowsAnyAsync<Exception>(() => RunAsync("SELECT colour FROM domains"));
        await OpenWithAsync(Migrations.OfThisProgram);
        await OpenWithAsync(Next(Known, s_further));
        Assert.Equal(7L, await RunAsync("SELECT colour FROM domains"));
    }

    [Fact]
    public async Task The_program_before_works_on_a_schema_that_only_has_more()
    {
        await OpenWithAsync(Next(Known, s_further));
        await using var before = await OpenAsync();
        await RunAsync("INSERT INTO domains (name, created_at) VALUES ('example.org', 1)");
        Assert.Equal(Known + 1L, await VersionAsync());
    }

    [Fact]
    public async Task The_program_before_is_refused_by_a_schema_that_is_not_for_it_any_more()
    {
        await OpenWithAsync(Next(Known + 1, s_further));

        var refused = await Assert.ThrowsAsync<UnknownSchemaException>(() => OpenAsync());

        Assert.Contains($"schema version {Known + 1}; this program knows versions up to {Known}", refused.Message, StringComparison.Ordinal);
        // Whose program it is works on.
        await OpenWithAsync(Next(Known + 1, s_further));
    }

    /// <summary>Programs before the first release said it elsewhere, and had versions of their own: 1 to 4.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task A_schema_that_says_nothing_of_older_programs_is_refused(int version)
    {
        await RunAsync("DROP TABLE oldest_release");
        await RunAsync(Database.SingleProcess ? $"PRAGMA user_version = {version}" : $"INSERT INTO schema_version (version) VALUES ({version})");
        var refused = await Assert.ThrowsAsync<UnknownSchemaException>(() => OpenAsync());
        Assert.Contains("before the first release", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>A pod of the version before works on while a newer one brings the schema further. No statement names an index.</summary>
    [Fact]
    public void Later_versions_of_the_schema_only_add()
    {
        foreach (var version in Migrations.All.Skip(1))
        {
            foreach (var sql in version.Select(sql => sql.TrimStart()))
            {
                Assert.True(
                    sql.StartsWith("CREATE TABLE ", StringComparison.Ordinal) || sql.StartsWith("CREATE INDEX ", StringComparison.Ordinal)
                        || sql.StartsWith("DROP INDEX ", StringComparison.Ordinal)
                        || (sql.StartsWith("ALTER TABLE ", StringComparison.Ordinal) && sql.Contains(" ADD COLUMN ", StringComparison.Ordinal)
                            && sql.Contains(" DEFAULT ", StringComparison.Ordinal))
                        // The first row of a table that no older program knows.
                        || (sql.StartsWith("INSERT INTO ", StringComparison.Ordinal) && version.Any(other => other.TrimStart().StartsWith($"CREATE TABLE {sql.Split(' ')[2]} ", StringComparison.Ordinal))),
                    $"Not additive: {sql}");
            }
        }
    }

    private async Task<object?> VersionAsync() =>
        await RunAsync(Database.SingleProcess ? "PRAGMA user_version" : "SELECT MAX(version) FROM schema_version");

    /// <summary>A program that knows these entries opens the store, and ends.</summary>
    private async Task OpenWithAsync(Migrations migrations, StorageOptions? options = null)
    {
        await using StorageEngine engine = Database.SingleProcess ? new SqliteEngine(options ?? Options) : new PostgresEngine(options ?? Options);
        await engine.OpenAsync(migrations, Cancellation);
    }
}
