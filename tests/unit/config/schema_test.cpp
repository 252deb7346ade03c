// What is generated from the table is in the tree and up to date.
#include "config/schema.hpp"

#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "dataplane/core/suite.hpp"

namespace trunkgate {

namespace {

std::string read(const std::string& name) {
  std::ifstream stream(TRUNKGATE_SOURCE_DIR "/" + name);
  std::ostringstream out;
  out << stream.rdbuf();
  return out.str();
}

TEST(schema, reference_is_up_to_date) {
  auto text = read("docs/configuration.md");
  const std::string begin = "<!-- generated: trunkgate schema --markdown -->\n",
                    end = "<!-- end of the generated part -->";
  auto from = text.find(begin), to = text.find(end);
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  from += begin.size();
  EXPECT_TRUE(text.substr(from, to - from) == schema_markdown())
      << "docs/configuration.md is not up to date: replace what stands between its two marks by what `trunkgate schema "
         "--markdown` "
         "prints";
}

// The operator's table of suites, in the part that is written by hand: each with the size of its key.
TEST(schema, reference_has_every_suite_and_its_key_size) {
  std::istringstream text(read("docs/configuration.md"));
  std::map<std::string, std::string> sizes;
  for (std::string line; std::getline(text, line) && !line.starts_with("<!-- generated");) {
    std::istringstream cells(line);
    std::string empty, names, numbers, name, size;
    std::getline(cells, empty, '|') && std::getline(cells, names, '|') && std::getline(cells, numbers, '|');
    std::istringstream name_list(names), number_list(numbers);
    while (name_list >> name && number_list >> size) sizes[name] = size.substr(0, size.find(','));
  }
  for (const auto& row : esp_suites)
    EXPECT_EQ(sizes["`" + std::string(row.name) + "`"], std::to_string(row.key_material())) << row.name;
}

TEST(schema, json_schema_is_up_to_date) {
  EXPECT_TRUE(read("config/trunkgate.schema.json") == schema_json())
      << "config/trunkgate.schema.json is not up to date: trunkgate schema --json >config/trunkgate.schema.json";
}

TEST(schema, json_schema_says_what_the_table_says) {
  auto schema = nlohmann::json::parse(schema_json());
  EXPECT_EQ(schema["required"], (nlohmann::json{"gateway", "ports"}));
  EXPECT_EQ(schema["additionalProperties"], false);
  const auto& port = schema["properties"]["ports"]["additionalProperties"]["properties"];
  EXPECT_EQ(port["mtu"]["minimum"], 576);
  EXPECT_EQ(port["mtu"]["maximum"], 9000);
  EXPECT_EQ(schema["properties"]["gateway"]["properties"]["lab"]["type"], "boolean");
}

}  // namespace

}  // namespace trunkgate
