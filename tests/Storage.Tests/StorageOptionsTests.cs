using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MailPipeline.Storage.Tests;

public sealed class StorageOptionsTests
{
    [Fact]
    public void A_setting_out_of_its_range_is_named()
    {
        var options = new StorageOptions { ConnectionString = "Data Source=mail.db", MaxCommitBatch = 0 };
        var refused = Assert.Throws<OptionsValidationException>(() => new ServiceCollection().AddStorageEngine(options));
        Assert.Contains("MaxCommitBatch", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Server=localhost")]
    [InlineData("no pairs")]
    public void A_connection_string_that_names_no_engine_is_refused(string connectionString)
    {
        var refused = Assert.Throws<ArgumentException>(() => new MailDatabase(
            new StorageOptions { ConnectionString = connectionString }, null!, TimeProvider.System,
            Microsoft.Extensions.Logging.Abstractions.NullLogger<MailDatabase>.Instance));
        Assert.Contains("ConnectionStrings:maildb", refused.Message, StringComparison.Ordinal);
    }
}
